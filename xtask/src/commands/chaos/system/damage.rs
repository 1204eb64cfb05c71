//! How each fault is brought about, and mended.

use std::time::Duration;

use tokio::{
    sync::{Mutex, MutexGuard},
    task::block_in_place,
    time::sleep,
};
use xtask::proxy::Proxy;

use super::{DATABASE, DEAD, EVENTS, MAX_MEMORY, System};
use crate::commands::chaos::{
    fault::{Fault, Kind},
    process::Process,
};

/// How often connections are cut, or sessions terminated, in one fault, and the time between. Once
/// would hardly ever meet a transaction.
const BURST: u32 = 8;
const BURST_INTERVAL: Duration = Duration::from_millis(70);
/// How long each chunk is held when connections are slow.
const DELAY: Duration = Duration::from_millis(150);
/// How long programs work on while a store is away, before they are killed.
const BEFORE_THE_KILL: Duration = Duration::from_millis(250);

impl System {
    /// Lets a fault happen, until it is mended.
    pub(crate) async fn suffer(&self, fault: &Fault) -> anyhow::Result<()> {
        let lasting = fault.lasting;
        match fault.kind {
            Kind::KillRedis => {
                let mut redis = self.redis.lock().await;
                redis.kill();
                sleep(lasting).await;
                block_in_place(|| redis.restart())
            }
            Kind::KillPostgres => {
                let mut postgres = self.postgres.lock().await;
                block_in_place(|| postgres.kill());
                sleep(lasting).await;
                block_in_place(|| postgres.restart())
            }
            Kind::KillIngest => kill(&self.ingests[fault.process], lasting).await,
            Kind::KillWorker => kill(&self.workers[fault.process], lasting).await,
            Kind::KillEverything => self.kill_everything(lasting).await,
            Kind::KillWorkersWhileRedisIsAway => {
                self.kill_workers_without(self.redis_proxy.lock().await, lasting)
                    .await
            }
            Kind::KillWorkersWhilePostgresIsAway => {
                self.kill_workers_without(self.postgres_proxy.lock().await, lasting)
                    .await
            }
            Kind::StopIngest => stop(&self.ingests[fault.process]).await,
            Kind::StopWorker => stop(&self.workers[fault.process]).await,
            Kind::PauseIngest => pause(&self.ingests[fault.process], lasting).await,
            Kind::PauseWorker => pause(&self.workers[fault.process], lasting).await,
            Kind::CutRedis => cut(&self.redis_proxy).await,
            Kind::CutPostgres => cut(&self.postgres_proxy).await,
            Kind::RefuseRedis => refuse(&self.redis_proxy, lasting).await,
            Kind::RefusePostgres => refuse(&self.postgres_proxy, lasting).await,
            Kind::HoldRedis => hold(&self.redis_proxy, lasting).await,
            Kind::HoldPostgres => hold(&self.postgres_proxy, lasting).await,
            Kind::DelayRedis => delay(&self.redis_proxy, lasting).await,
            Kind::DelayPostgres => delay(&self.postgres_proxy, lasting).await,
            Kind::FillRedis => self.fill_redis(lasting).await,
            Kind::TerminateSessions => self.terminate_sessions().await,
            Kind::ReplayDeadLetters => {
                let script = include_str!("../../../../../worker/lua/replay.lua");
                self.cli(&["EVAL", script, "2", DEAD, EVENTS, "all"])
                    .await
                    .map(drop)
            }
        }
    }

    /// As when the machine loses its power.
    async fn kill_everything(&self, lasting: Duration) -> anyhow::Result<()> {
        let mut redis = self.redis.lock().await;
        let mut postgres = self.postgres.lock().await;
        let mut programs = Vec::new();
        for program in self.ingests.iter().chain(&self.workers) {
            programs.push(program.lock().await);
        }
        redis.kill();
        block_in_place(|| postgres.kill());
        for program in &mut programs {
            program.kill();
        }
        sleep(lasting).await;
        // The programs first: they have to wait for the stores.
        for program in &mut programs {
            program.restart()?;
        }
        block_in_place(|| redis.restart())?;
        block_in_place(|| postgres.restart())
    }

    async fn kill_workers_without(
        &self,
        store: MutexGuard<'_, Proxy>,
        lasting: Duration,
    ) -> anyhow::Result<()> {
        store.refuse(true);
        sleep(BEFORE_THE_KILL).await;
        let mut workers = Vec::new();
        for worker in &self.workers {
            let mut worker = worker.lock().await;
            worker.kill();
            workers.push(worker);
        }
        sleep(lasting).await;
        store.refuse(false);
        for worker in &mut workers {
            worker.restart()?;
        }
        Ok(())
    }

    /// As when another application has filled it: nothing that the worker removes makes room.
    async fn fill_redis(&self, lasting: Duration) -> anyhow::Result<()> {
        let redis = self.redis.lock().await;
        let limit =
            |memory: &str| block_in_place(|| redis.cli(&["CONFIG", "SET", "maxmemory", memory]));
        limit("1")?;
        sleep(lasting).await;
        limit(MAX_MEMORY).map(drop)
    }

    async fn terminate_sessions(&self) -> anyhow::Result<()> {
        let postgres = self.postgres.lock().await;
        let statement = "select count(pg_terminate_backend(pid)) from pg_stat_activity \
                         where datname = current_database() and pid <> pg_backend_pid()";
        for _ in 0..BURST {
            block_in_place(|| postgres.psql(DATABASE, statement))?;
            sleep(BURST_INTERVAL).await;
        }
        Ok(())
    }
}

async fn kill(process: &Mutex<Process>, lasting: Duration) -> anyhow::Result<()> {
    let mut process = process.lock().await;
    process.kill();
    sleep(lasting).await;
    process.restart()
}

async fn stop(process: &Mutex<Process>) -> anyhow::Result<()> {
    let mut process = process.lock().await;
    block_in_place(|| process.stop());
    process.restart()
}

async fn pause(process: &Mutex<Process>, lasting: Duration) -> anyhow::Result<()> {
    let process = process.lock().await;
    process.pause();
    sleep(lasting).await;
    process.resume();
    Ok(())
}

async fn cut(proxy: &Mutex<Proxy>) -> anyhow::Result<()> {
    let proxy = proxy.lock().await;
    for _ in 0..BURST {
        proxy.cut();
        sleep(BURST_INTERVAL).await;
    }
    Ok(())
}

async fn refuse(proxy: &Mutex<Proxy>, lasting: Duration) -> anyhow::Result<()> {
    let proxy = proxy.lock().await;
    proxy.refuse(true);
    sleep(lasting).await;
    proxy.refuse(false);
    Ok(())
}

async fn hold(proxy: &Mutex<Proxy>, lasting: Duration) -> anyhow::Result<()> {
    let proxy = proxy.lock().await;
    proxy.hold(true);
    sleep(lasting).await;
    proxy.hold(false);
    Ok(())
}

async fn delay(proxy: &Mutex<Proxy>, lasting: Duration) -> anyhow::Result<()> {
    let proxy = proxy.lock().await;
    proxy.delay(DELAY);
    sleep(lasting).await;
    proxy.delay(Duration::ZERO);
    Ok(())
}
