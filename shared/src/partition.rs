//! Which stream an event goes to.

use sha2::{Digest, Sha256};

/// How many partitions there may be. Each costs a worker a connection.
pub const MOST_PARTITIONS: u32 = 64;

/// The partition of `id`, a user's, out of `partitions` (at least one), counted from 0: the first four
/// bytes of its SHA-256 as a number, most significant first, modulo `partitions`. It is the same on
/// every machine and for ever, so that the events of one user keep their order.
///
/// In a shell: `$(( 0x$(printf %s user_x | sha256sum | cut -c 1-8) % 4 ))`.
#[must_use]
pub fn partition_of(id: &str, partitions: u32) -> u32 {
    let [first, second, third, fourth, ..] = Sha256::digest(id).0;
    u32::from_be_bytes([first, second, third, fourth]) % partitions.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_partition_of_a_user_never_changes() {
        for (id, partitions, partition) in [
            ("", 4, 2),
            ("user_1", 1, 0),
            ("user_1", 2, 0),
            ("user_1", 4, 0),
            ("user_1", 64, 0),
            ("user_2g7np7Hrk0SN6kj5EDMLDaKNL0S", 3, 0),
            ("user_2g7np7Hrk0SN6kj5EDMLDaKNL0S", 64, 40),
            ("user_ä", 64, 3),
        ] {
            assert_eq!(
                partition_of(id, partitions),
                partition,
                "{id} of {partitions}"
            );
        }
    }

    #[test]
    fn users_are_spread_evenly() {
        let mut users = [0; 16];
        for n in 0..16_000 {
            users[partition_of(&format!("user_{n}"), 16) as usize] += 1;
        }
        assert!(
            users.iter().all(|users| (800..1200).contains(users)),
            "{users:?}"
        );
    }
}
