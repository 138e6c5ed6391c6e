//! Reduces a list of moves that makes a program fail to as few as will do.
//!
//! The first failing prefix is found by bisection; its last move is where things go wrong. Then earlier moves are left out, in ever
//! smaller pieces, as long as it still fails (Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input"). Events have
//! the same numbers whatever is left out.

use maize_node::Move;

/// Whether the program fails with these moves.
pub(crate) type Fails<'a, E> = dyn FnMut(&[Move]) -> Result<bool, E> + 'a;

/// The shortest list found, within a budget of about so many trials. `moves` are known to fail.
///
/// # Errors
/// Those of a trial.
pub(crate) fn shrink<E>(moves: &[Move], budget: usize, fails: &mut Fails<'_, E>) -> Result<Vec<Move>, E> {
    let mut trials = 0;
    let mut fails = |list: &[Move]| {
        trials += 1;
        if trials > budget { Ok(None) } else { fails(list).map(Some) }
    };
    let (mut good, mut bad) = (0, moves.len());
    while bad - good > 1 {
        let middle = usize::midpoint(good, bad);
        match fails(&moves[..middle])? {
            Some(true) => bad = middle,
            Some(false) => good = middle,
            None => return Ok(moves[..bad].to_vec()),
        }
    }
    let mut kept = moves[..bad].to_vec();
    let Some(last) = kept.pop() else { return Ok(kept) };
    let with_last = |earlier: &[Move]| earlier.iter().copied().chain([last]).collect::<Vec<_>>();
    // Mostly the last alone does it.
    match fails(&[last])? {
        Some(true) => return Ok(vec![last]),
        Some(false) => {}
        None => return Ok(with_last(&kept)),
    }
    let mut piece = kept.len().div_ceil(2);
    while piece > 0 {
        let mut start = 0;
        while start < kept.len() {
            let mut fewer = kept.clone();
            fewer.drain(start..kept.len().min(start + piece));
            match fails(&with_last(&fewer))? {
                Some(true) => kept = fewer,
                Some(false) => start += piece,
                None => return Ok(with_last(&kept)),
            }
        }
        piece = if piece == 1 { 0 } else { piece.div_ceil(2) };
    }
    Ok(with_last(&kept))
}

#[cfg(test)]
mod tests {
    use super::*;
    use maize_abi::Isa;

    fn moves(count: u64) -> Vec<Move> {
        (1..=count).map(|event| Move { event, to: Isa::ALL[event as usize % 3] }).collect()
    }

    fn shrunk(count: u64, budget: usize, needed: &[u64]) -> (Vec<u64>, usize) {
        let mut trials = 0;
        let found = shrink(&moves(count), budget, &mut |list| {
            trials += 1;
            Ok::<bool, ()>(needed.iter().all(|event| list.iter().any(|one| one.event == *event)))
        });
        (found.unwrap().iter().map(|one| one.event).collect(), trials)
    }

    #[test]
    fn one_bad_move_is_found_in_few_trials() {
        for bad in [1, 2, 500, 999, 1000] {
            let (found, trials) = shrunk(1000, usize::MAX, &[bad]);
            assert_eq!(found, [bad]);
            assert!(trials <= 12, "{trials} trials for {bad}");
        }
    }

    #[test]
    fn moves_that_fail_together_are_found() {
        let (found, trials) = shrunk(1000, usize::MAX, &[17, 400, 401]);
        assert_eq!(found, [17, 400, 401]);
        assert!(trials < 60, "{trials} trials");
        assert_eq!(shrunk(8, usize::MAX, &[1, 2, 3, 4, 5, 6, 7, 8]).0, [1, 2, 3, 4, 5, 6, 7, 8]);
    }

    #[test]
    fn what_is_found_fails_even_without_time_to_finish() {
        for budget in 0..40 {
            let (found, trials) = shrunk(1000, budget, &[17, 400, 401]);
            assert!([17, 400, 401].iter().all(|event| found.contains(event)), "{found:?}");
            assert!(trials <= budget);
        }
    }

    #[test]
    fn a_program_that_fails_without_moves_needs_none() {
        assert_eq!(shrink(&[], 10, &mut |_| Ok::<bool, ()>(true)), Ok(vec![]));
    }
}
