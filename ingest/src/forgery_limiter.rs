//! Who has sent too many forged requests.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lru::LruCache;

/// An address may send this many forged requests a [`WINDOW`]; the next one limits it.
pub const FORGED_ALLOWED: usize = 60;
/// How far back forged requests count.
pub const WINDOW: Duration = Duration::from_secs(60);
/// How long an address that sent a verified request is never limited.
pub const TRUST: Duration = Duration::from_secs(3600);
/// How many addresses of each kind are remembered.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(4096).unwrap();

/// Remembers, in bounded memory, which addresses forged and which verified.
///
/// The two are remembered apart, so that a flood from many addresses cannot make it forget whom
/// Clerk's deliveries come from.
pub struct ForgeryLimiter(Mutex<State>);

struct State {
    /// When each address sent its last forged requests, [`FORGED_ALLOWED`] + 1 at the most.
    forged: LruCache<IpAddr, VecDeque<Instant>>,
    verified: LruCache<IpAddr, Instant>,
}

impl Default for ForgeryLimiter {
    fn default() -> Self {
        Self(Mutex::new(State {
            forged: LruCache::new(REMEMBERED),
            verified: LruCache::new(REMEMBERED),
        }))
    }
}

impl ForgeryLimiter {
    /// How long `address` is limited for; `None` when it is not.
    pub fn limited(&self, address: IpAddr, now: Instant) -> Option<Duration> {
        let state = self.state();
        let times = state.forged.peek(&address)?;
        if times.len() <= FORGED_ALLOWED {
            return None;
        }
        let trusted = state
            .verified
            .peek(&address)
            .is_some_and(|at| now.duration_since(*at) < TRUST);
        let wait = WINDOW.saturating_sub(now.duration_since(*times.front()?));
        (!trusted && !wait.is_zero()).then_some(wait)
    }

    /// `address` has sent a request that did not verify.
    pub fn forged(&self, address: IpAddr, now: Instant) {
        let mut state = self.state();
        let times = state.forged.get_or_insert_mut(address, VecDeque::new);
        times.push_back(now);
        if times.len() > FORGED_ALLOWED + 1 {
            times.pop_front();
        }
    }

    /// `address` has sent a request that verified.
    pub fn verified(&self, address: IpAddr, now: Instant) {
        self.state().verified.put(address, now);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    fn after(limiter: &ForgeryLimiter, forged: usize, now: Instant) {
        for _ in 0..forged {
            limiter.forged(ADDRESS, now);
        }
    }

    #[test]
    fn more_than_sixty_forged_requests_in_a_minute_limit_their_sender_only() {
        let (limiter, now) = (ForgeryLimiter::default(), Instant::now());
        after(&limiter, 60, now);
        assert_eq!(limiter.limited(ADDRESS, now), None);
        after(&limiter, 1, now);
        assert_eq!(limiter.limited(ADDRESS, now), Some(WINDOW));
        assert_eq!(limiter.limited(OTHER, now), None);
        assert_eq!(limiter.limited(ADDRESS, now + WINDOW), None);
    }

    #[test]
    fn the_minute_slides() {
        let (limiter, start) = (ForgeryLimiter::default(), Instant::now());
        after(&limiter, 40, start);
        after(&limiter, 21, start + Duration::from_secs(59));
        assert_eq!(
            limiter.limited(ADDRESS, start + Duration::from_secs(59)),
            Some(Duration::from_secs(1))
        );
        assert_eq!(
            limiter.limited(ADDRESS, start + Duration::from_secs(61)),
            None
        );
    }

    #[test]
    fn who_verified_within_the_hour_is_never_limited() {
        let (limiter, now) = (ForgeryLimiter::default(), Instant::now());
        limiter.verified(ADDRESS, now);
        let soon = now + TRUST - Duration::from_secs(1);
        after(&limiter, 1000, soon);
        assert_eq!(limiter.limited(ADDRESS, soon), None);
        assert!(limiter.limited(ADDRESS, now + TRUST).is_some());
    }

    #[test]
    fn a_flood_from_many_addresses_is_held_in_bounded_memory_and_does_not_touch_trust() {
        let (limiter, now) = (ForgeryLimiter::default(), Instant::now());
        limiter.verified(ADDRESS, now);
        for address in 0..20_000_u32 {
            limiter.forged(IpAddr::V4(address.into()), now);
        }
        after(&limiter, 1000, now);
        assert_eq!(limiter.state().forged.len(), REMEMBERED.get());
        assert_eq!(limiter.limited(ADDRESS, now), None);
    }
}
