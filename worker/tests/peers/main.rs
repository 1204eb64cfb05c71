//! Ingest and worker among the programs that real applications have around them: the official
//! packages sign what is sent, Drizzle, Prisma and SQLAlchemy read and write the rows, a Redis client of Node.js or the
//! cache handlers of Next.js fill the cache, Prometheus reads the metrics, the schemas of Kubernetes and
//! KEDA judge the manifests, GitHub's the workflows, and a browser shows the status page.
//!
//! The packages come from npm and PyPI, in the versions of the lock files, into the target folder.
//! Where that is impossible a test prints NOT RUN and why; where the variable `CI` is set it fails.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod applications;
mod browser;
mod cache;
mod manifests;
mod monitoring;
mod next_cache;
mod node;
mod own_table;
mod peer;
mod python;
mod rows;
mod signatures;
mod status_page;
mod user;
mod workflows;
mod world;
