//! Sorting long lists of IPv4 ranges without comparing.

/// Fewer ranges than this are compared: the counters of the buckets cost more.
const FEW: usize = 2_048;

/// Bits of the first number that one pass sorts by: three passes take 32 bits.
const DIGIT: [(u32, u64); 3] = [(32, 0x7ff), (43, 0x7ff), (54, 0x3ff)];

/// The ranges as `first << 32 | last`, ascending by their first numbers; `None` where the list is short or a number has
/// more than 32 bits.
pub(super) fn by_start(ranges: &[(u128, u128)]) -> Option<Vec<u64>> {
    let limit = u128::from(u32::MAX);
    if ranges.len() < FEW || u32::try_from(ranges.len()).is_err() || ranges.iter().any(|r| r.0.max(r.1) > limit) {
        return None;
    }
    let mut keys: Vec<u64> = ranges.iter().map(|r| (r.0 as u64) << 32 | r.1 as u64).collect();
    let mut places = [[0u32; 0x800]; DIGIT.len()];
    for &key in &keys {
        for (&(shift, mask), place) in DIGIT.iter().zip(&mut places) {
            place[(key >> shift & mask) as usize] += 1;
        }
    }
    let mut other = vec![0u64; keys.len()];
    for (&(shift, mask), place) in DIGIT.iter().zip(&mut places) {
        let mut next = 0;
        for slot in place.iter_mut() {
            let count = std::mem::replace(slot, next);
            next += count;
        }
        for &key in &keys {
            let slot = &mut place[(key >> shift & mask) as usize];
            other[*slot as usize] = key;
            *slot += 1;
        }
        std::mem::swap(&mut keys, &mut other);
    }
    Some(keys)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20))]

        #[test]
        fn starts_ascend_and_nothing_is_lost(
            list in prop::collection::vec((any::<u32>(), any::<u32>()), FEW..FEW + 500),
            shift in 0u32..32,
        ) {
            let list: Vec<(u128, u128)> =
                list.into_iter().map(|(a, b)| (u128::from(a >> shift), u128::from(b))).collect();
            let sorted: Vec<(u128, u128)> =
                by_start(&list).unwrap().iter().map(|k| (u128::from(k >> 32), u128::from(*k as u32))).collect();
            prop_assert!(sorted.is_sorted_by_key(|r| r.0));
            let all = |mut l: Vec<(u128, u128)>| { l.sort_unstable(); l };
            prop_assert_eq!(all(sorted), all(list));
        }
    }

    #[test]
    fn longer_numbers_are_left_alone() {
        let mut list: Vec<(u128, u128)> = (0..10_000u128).rev().map(|x| (x, x)).collect();
        assert!(by_start(&list).is_some());
        list.push((0, 1 << 32));
        assert!(by_start(&list).is_none());
    }
}
