//! What Linux promises about processes, held against the table; and random histories in which nothing may be lost or come twice.

use super::*;
use std::collections::BTreeSet;

const EXIT: u64 = WEXITED;

fn family() -> Table {
    let mut table = Table::default();
    table.begin(100, 50, 90, 80);
    table.fork(100, 101);
    table.fork(100, 102);
    table.fork(101, 103);
    table
}

fn exited(status: i32) -> Change {
    Change::Ended { status: status << 8, times: [3, 4] }
}

#[test]
fn an_exit_status_arrives_once() {
    let mut table = family();
    assert_eq!(table.wait(100, Selector::All, EXIT), Ok(None));
    let notice = table.change(102, exited(7)).unwrap();
    let signal = SignalInformation { signal: SIGCHLD, code: CLD_EXITED, sender: 102, value: 7 };
    assert_eq!(notice, Notice { parent: 100, signal: Some(signal) });
    assert_eq!(table.change(102, exited(8)), None);
    let found = Found { id: 102, code: CLD_EXITED, status: 7, times: [3, 4] };
    assert_eq!(table.wait(100, Selector::All, EXIT | WNOWAIT), Ok(Some(found)));
    assert_eq!(table.wait(100, Selector::One(102), EXIT), Ok(Some(found)));
    assert_eq!(table.wait(100, Selector::One(102), EXIT), Err(ECHILD));
    assert_eq!(table.wait(100, Selector::All, EXIT), Ok(None));
    assert_eq!(table.wait(103, Selector::All, EXIT), Err(ECHILD));
}

#[test]
fn orphans_go_to_init_and_leave_nothing() {
    let mut table = family();
    table.change(101, exited(0));
    assert_eq!(table.parent(103), Some(1));
    assert_eq!(table.change(103, exited(0)), None);
    assert!(!table.exists(103) && table.exists(101));
    // A zombie whose parent ends goes with it.
    table.change(100, exited(0));
    assert!(!table.exists(101));
    assert_eq!(table.parent(102), Some(1));
}

#[test]
fn ignored_children_leave_no_status() {
    let mut table = family();
    table.set_children(100, Children { discarded: true, stop_silently: true });
    assert!(table.change(101, exited(1)).unwrap().signal.is_some());
    assert_eq!(table.change(102, Change::Stopped { signal: 19 }).unwrap().signal, None);
    assert_eq!(table.wait(100, Selector::One(101), EXIT), Err(ECHILD));
    table.change(102, exited(1));
    assert_eq!(table.wait(100, Selector::All, EXIT), Err(ECHILD));
}

#[test]
fn groups_and_sessions_are_those_of_the_standard() {
    let mut table = family();
    assert_eq!(table.group(103), Some(90));
    assert_eq!(table.set_group(100, 101, 102), EPERM, "a group that does not exist");
    assert_eq!(table.set_group(100, 101, 0), 0);
    assert_eq!(table.set_group(100, 102, 101), 0);
    assert_eq!(table.set_group(100, 103, 101), ESRCH, "not a child");
    assert_eq!(table.targets(103, -101), [101, 102]);
    assert_eq!(table.targets(103, 0), [100, 103]);
    assert_eq!(table.set_session(101), EPERM, "a leader of a group");
    assert_eq!(table.set_session(103), 103);
    assert_eq!((table.group(103), table.session(103)), (Some(103), Some(103)));
    assert_eq!(table.set_group(103, 0, 0), EPERM, "a leader of a session");
    table.execute(102);
    assert_eq!(table.set_group(100, 102, 0), EACCES);
    assert_eq!(table.wait(100, Selector::Group(101), EXIT), Ok(None));
    assert_eq!(table.wait(100, Selector::Group(0), EXIT), Err(ECHILD));
}

#[test]
fn stops_are_told_to_who_asks_for_them() {
    let mut table = family();
    table.change(101, Change::Stopped { signal: 20 });
    assert_eq!(table.wait(100, Selector::All, EXIT), Ok(None));
    let found = table.wait(100, Selector::All, EXIT | WSTOPPED).unwrap().unwrap();
    assert_eq!((found.id, found.code, found.status), (101, CLD_STOPPED, 20));
    assert_eq!(table.wait(100, Selector::All, EXIT | WSTOPPED), Ok(None));
    table.change(101, Change::Continued);
    let found = table.wait(100, Selector::All, WCONTINUED).unwrap().unwrap();
    assert_eq!((found.code, found.status), (CLD_CONTINUED, 18));
}

/// Every process that ends is waited for exactly once by its parent, or never if that ended first; nothing stays.
#[test]
fn random_histories_lose_and_repeat_nothing() {
    for seed in 0..2000 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut table = Table::default();
        table.begin(100, 50, 90, 80);
        let (mut alive, mut next) = (vec![100], 101);
        let mut parents: BTreeMap<Id, Id> = BTreeMap::new();
        let mut expected: BTreeSet<Id> = BTreeSet::new();
        for _ in 0..60 {
            let index = random.usize(..alive.len());
            let id = alive[index];
            match random.u8(..3) {
                0 => {
                    table.fork(id, next);
                    parents.insert(next, id);
                    alive.push(next);
                    next += 1;
                }
                1 if id != 100 => {
                    alive.remove(index);
                    expected.retain(|child| parents[child] != id);
                    let notice = table.change(id, exited(5));
                    let parent_lives = alive.contains(&parents[&id]);
                    assert_eq!(notice.is_some(), parent_lives, "seed {seed}");
                    if parent_lives {
                        expected.insert(id);
                    }
                }
                _ => match table.wait(id, Selector::All, EXIT) {
                    Ok(Some(found)) => {
                        assert!(parents[&found.id] == id && expected.remove(&found.id), "seed {seed}");
                    }
                    Ok(None) => assert!(alive.iter().any(|child| parents.get(child) == Some(&id)), "seed {seed}"),
                    Err(_) => assert!(!expected.iter().any(|child| parents[child] == id), "seed {seed}"),
                },
            }
        }
        let mut kept: Vec<Id> = table.processes.keys().copied().collect();
        kept.retain(|id| !alive.contains(id));
        assert_eq!(kept, expected.into_iter().collect::<Vec<_>>(), "seed {seed}");
    }
}
