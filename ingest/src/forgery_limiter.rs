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
/// How often a request of a limited address is looked at all the same. Behind a balancer that hides addresses, Clerk and
/// a flood have the same one; as soon as one delivery verifies, the address is no longer limited.
pub const LOOK: Duration = Duration::from_secs(1);
/// How many addresses of each kind are remembered.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(4096).unwrap();

/// Remembers, in bounded memory, which addresses forged and which verified.
///
/// The two are remembered apart, so that a flood from many addresses cannot make it forget whom
/// Clerk's deliveries come from.
pub struct ForgeryLimiter(Mutex<State>);

struct State {
    forged: LruCache<IpAddr, Forger>,
    verified: LruCache<IpAddr, Instant>,
}

#[derive(Default)]
struct Forger {
    /// When it sent its last forged requests, [`FORGED_ALLOWED`] + 1 at the most.
    times: VecDeque<Instant>,
    /// When it was last looked at while it was limited.
    looked_at: Option<Instant>,
}

/// What is known of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It has verified within [`TRUST`].
    Verified,
    /// Its next request is looked at.
    Unknown,
    /// It is limited for this long.
    Limited(Duration),
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
    /// How `address`, which has sent a request, stands. Unless it is limited the request is to be looked at.
    pub fn standing(&self, address: IpAddr, now: Instant) -> Standing {
        let mut state = self.state();
        let verified = state.verified.peek(&address);
        if verified.is_some_and(|at| now.saturating_duration_since(*at) < TRUST) {
            return Standing::Verified;
        }
        let forger = state.forged.peek_mut(&address);
        match forger.and_then(|forger| forger.limited(now)) {
            Some(wait) => Standing::Limited(wait),
            None => Standing::Unknown,
        }
    }

    /// `address` has sent a request that did not verify.
    pub fn forged(&self, address: IpAddr, now: Instant) {
        let mut state = self.state();
        let forger = state.forged.get_or_insert_mut(address, Forger::default);
        forger.times.push_back(now);
        if forger.times.len() > FORGED_ALLOWED + 1 {
            forger.times.pop_front();
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

impl Forger {
    /// How long it is limited for; `None` when it is not, or is to be looked at all the same.
    fn limited(&mut self, now: Instant) -> Option<Duration> {
        if self.times.len() <= FORGED_ALLOWED {
            return None;
        }
        let wait = WINDOW.saturating_sub(now.saturating_duration_since(*self.times.front()?));
        if wait.is_zero() {
            return None;
        }
        let last = self.looked_at.max(self.times.back().copied())?;
        if now.saturating_duration_since(last) >= LOOK {
            self.looked_at = Some(now);
            return None;
        }
        Some(wait)
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
        assert_eq!(limiter.standing(ADDRESS, now), Standing::Unknown);
        after(&limiter, 1, now);
        assert_eq!(limiter.standing(ADDRESS, now), Standing::Limited(WINDOW));
        assert_eq!(limiter.standing(OTHER, now), Standing::Unknown);
        assert_eq!(limiter.standing(ADDRESS, now + WINDOW), Standing::Unknown);
    }

    #[test]
    fn the_minute_slides() {
        let (limiter, start) = (ForgeryLimiter::default(), Instant::now());
        after(&limiter, 40, start);
        after(&limiter, 21, start + Duration::from_secs(59));
        assert_eq!(
            limiter.standing(ADDRESS, start + Duration::from_secs(59)),
            Standing::Limited(Duration::from_secs(1))
        );
        assert_eq!(
            limiter.standing(ADDRESS, start + Duration::from_secs(61)),
            Standing::Unknown
        );
    }

    #[test]
    fn one_request_a_second_of_a_limited_address_is_looked_at() {
        let (limiter, start) = (ForgeryLimiter::default(), Instant::now());
        after(&limiter, 61, start);
        let mut looked_at = Vec::new();
        for tenth in 0..40 {
            let now = start + tenth * Duration::from_millis(100);
            if limiter.standing(ADDRESS, now) == Standing::Unknown {
                looked_at.push(tenth);
            }
        }
        assert_eq!(looked_at, [10, 20, 30]);
        limiter.verified(ADDRESS, start + Duration::from_secs(4));
        let now = start + Duration::from_secs(4);
        assert_eq!(limiter.standing(ADDRESS, now), Standing::Verified);
    }

    #[test]
    fn who_verified_within_the_hour_is_never_limited() {
        let (limiter, now) = (ForgeryLimiter::default(), Instant::now());
        limiter.verified(ADDRESS, now);
        let soon = now + TRUST - Duration::from_secs(1);
        after(&limiter, 1000, soon);
        assert_eq!(limiter.standing(ADDRESS, soon), Standing::Verified);
        after(&limiter, 61, now + TRUST);
        let limited = limiter.standing(ADDRESS, now + TRUST);
        assert_eq!(limited, Standing::Limited(WINDOW));
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
        assert_eq!(limiter.standing(ADDRESS, now), Standing::Verified);
    }
}
