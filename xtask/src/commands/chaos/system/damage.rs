//! How each fault is brought about, and mended.

use std::time::Duration;

use tokio::{sync::Mutex, task::block_in_place, time::sleep};
use xtask::{proxy::Proxy, redis_server::RedisServer};

use super::{DATABASE, MAX_MEMORY, System, key, redis::Redis};
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
                block_in_place(|| redis.kill(&self.stream_of(fault)))?;
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
            Kind::KillWorkersWhileRedisIsAway => match &self.redis_proxy {
                Some(proxy) => self.kill_workers_behind(proxy, lasting).await,
                None => {
                    let redis = self.redis.lock().await;
                    each_server(&redis, RedisServer::pause)?;
                    let resume = || each_server(&redis, RedisServer::resume);
                    self.kill_workers(lasting, resume).await
                }
            },
            Kind::KillWorkersWhilePostgresIsAway => {
                self.kill_workers_behind(&self.postgres_proxy, lasting)
                    .await
            }
            Kind::StopIngest => stop(&self.ingests[fault.process]).await,
            Kind::StopWorker => stop(&self.workers[fault.process]).await,
            Kind::PauseIngest => pause(&self.ingests[fault.process], lasting).await,
            Kind::PauseWorker => pause(&self.workers[fault.process], lasting).await,
            Kind::CutRedis => match &self.redis_proxy {
                Some(proxy) => cut(proxy).await,
                None => self.cut_cluster().await,
            },
            Kind::CutPostgres => cut(&self.postgres_proxy).await,
            Kind::RefuseRedis => match &self.redis_proxy {
                Some(proxy) => meanwhile(proxy, lasting, Proxy::refuse).await,
                None => self.pause_cluster(lasting).await,
            },
            Kind::RefusePostgres => meanwhile(&self.postgres_proxy, lasting, Proxy::refuse).await,
            Kind::HoldRedis => match &self.redis_proxy {
                Some(proxy) => meanwhile(proxy, lasting, Proxy::hold).await,
                None => self.pause_master(fault).await,
            },
            Kind::HoldPostgres => meanwhile(&self.postgres_proxy, lasting, Proxy::hold).await,
            Kind::DelayRedis => match &self.redis_proxy {
                Some(proxy) => meanwhile(proxy, lasting, delay).await,
                None => self.move_slots().await,
            },
            Kind::DelayPostgres => meanwhile(&self.postgres_proxy, lasting, delay).await,
            Kind::FillRedis => self.fill_redis(lasting).await,
            Kind::TerminateSessions => self.terminate_sessions().await,
            Kind::ReplayDeadLetters => self.replay_dead_letters().await,
        }
    }

    /// The stream whose server a fault happens to, in a cluster.
    fn stream_of(&self, fault: &Fault) -> String {
        let partitions = u128::from(self.partitions);
        let partition = u32::try_from(fault.lasting.as_millis() % partitions);
        key(partition.unwrap_or_default(), "events")
    }

    async fn cut_cluster(&self) -> anyhow::Result<()> {
        let redis = self.redis.lock().await;
        for _ in 0..BURST {
            let cut =
                |node: &RedisServer| node.cli(&["CLIENT", "KILL", "TYPE", "normal"]).map(drop);
            each_server(&redis, cut)?;
            sleep(BURST_INTERVAL).await;
        }
        Ok(())
    }

    async fn pause_cluster(&self, lasting: Duration) -> anyhow::Result<()> {
        let mut redis = self.redis.lock().await;
        each_server(&redis, RedisServer::pause)?;
        sleep(lasting).await;
        each_server(&redis, RedisServer::resume)?;
        block_in_place(|| redis.restart())
    }

    /// Long enough for a replica to take its place: then it is a master that does not know that it is none.
    async fn pause_master(&self, fault: &Fault) -> anyhow::Result<()> {
        let mut redis = self.redis.lock().await;
        let Redis::Cluster(cluster) = &*redis else {
            return Ok(());
        };
        let master = block_in_place(|| cluster.master_of(&self.stream_of(fault)))?;
        cluster.nodes()[master].pause()?;
        sleep(fault.lasting).await;
        cluster.nodes()[master].resume()?;
        block_in_place(|| redis.restart())
    }

    async fn move_slots(&self) -> anyhow::Result<()> {
        let redis = self.redis.lock().await;
        let Redis::Cluster(cluster) = &*redis else {
            return Ok(());
        };
        block_in_place(|| {
            (0..self.partitions)
                .try_for_each(|partition| cluster.move_slot_of(&key(partition, "events")))
        })
    }

    /// As when the machine loses its power.
    async fn kill_everything(&self, lasting: Duration) -> anyhow::Result<()> {
        let mut redis = self.redis.lock().await;
        let mut postgres = self.postgres.lock().await;
        let mut programs = Vec::new();
        for program in self.ingests.iter().chain(&self.workers) {
            programs.push(program.lock().await);
        }
        redis.kill_all();
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

    async fn kill_workers_behind(
        &self,
        proxy: &Mutex<Proxy>,
        lasting: Duration,
    ) -> anyhow::Result<()> {
        let proxy = proxy.lock().await;
        proxy.refuse(true);
        let mend = || {
            proxy.refuse(false);
            Ok(())
        };
        self.kill_workers(lasting, mend).await
    }

    /// Kills the workers while a store is away, which `mend` brings back.
    async fn kill_workers(
        &self,
        lasting: Duration,
        mend: impl FnOnce() -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        sleep(BEFORE_THE_KILL).await;
        let mut workers = Vec::new();
        for worker in &self.workers {
            let mut worker = worker.lock().await;
            worker.kill();
            workers.push(worker);
        }
        sleep(lasting).await;
        mend()?;
        for worker in &mut workers {
            worker.restart()?;
        }
        Ok(())
    }

    /// As when another application has filled it: nothing that the worker removes makes room.
    async fn fill_redis(&self, lasting: Duration) -> anyhow::Result<()> {
        let redis = self.redis.lock().await;
        let limit = |memory: &str| {
            let set =
                |node: &RedisServer| node.cli(&["CONFIG", "SET", "maxmemory", memory]).map(drop);
            each_server(&redis, set)
        };
        limit("1")?;
        sleep(lasting).await;
        limit(MAX_MEMORY)
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

/// Does something to every server of Redis.
fn each_server(
    redis: &Redis,
    mut to_one: impl FnMut(&RedisServer) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    block_in_place(|| redis.nodes().iter().try_for_each(&mut to_one))
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

/// Does something to a proxy, and undoes it.
async fn meanwhile(
    proxy: &Mutex<Proxy>,
    lasting: Duration,
    switch: impl Fn(&Proxy, bool),
) -> anyhow::Result<()> {
    let proxy = proxy.lock().await;
    switch(&proxy, true);
    sleep(lasting).await;
    switch(&proxy, false);
    Ok(())
}

fn delay(proxy: &Proxy, is_slow: bool) {
    proxy.delay(if is_slow { DELAY } else { Duration::ZERO });
}
