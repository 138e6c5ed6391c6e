//! What ordinary Rust programs use of the standard library, with output that tells whether it worked.
//!
//! `survey DIRECTORY ROUNDS [TOPIC]` prints something about each topic, but not about the one that is named; `survey panic`, `survey abort`
//! and `survey exit` end as they say.

use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet, LinkedList, VecDeque};
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::rc::{Rc, Weak};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock, RwLock, mpsc};
use std::time::{Duration, Instant, SystemTime};
use std::{cell::RefCell, env, fs, panic, process, thread};

/// Numbers that look random and are the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 ^ (self.0 >> 29)
    }
}

fn collections(round: u64) {
    let mut random = Random(round);
    let mut hashed: HashMap<u64, String> = HashMap::new();
    let mut sorted: BTreeMap<String, u64> = BTreeMap::new();
    let mut heap = BinaryHeap::new();
    let mut queue = VecDeque::new();
    let mut list = LinkedList::new();
    for step in 0..2_000 {
        let number = random.next() % 1_000;
        hashed.entry(number).or_default().push(char::from(b'a' + (step % 26) as u8));
        *sorted.entry(format!("{:04}", number * 7 % 1_000)).or_insert(0) += step;
        heap.push(number);
        if number % 3 == 0 {
            queue.push_front(number);
        } else {
            queue.push_back(number);
        }
        if number % 5 == 0 {
            hashed.remove(&(number / 5));
            list.push_back(number);
        }
    }
    let mut lengths: Vec<(u64, usize)> = hashed.iter().map(|(key, value)| (*key, value.len())).collect();
    lengths.sort_unstable();
    let unique: HashSet<usize> = lengths.iter().map(|pair| pair.1).collect();
    let ordered: BTreeSet<usize> = unique.into_iter().collect();
    let mut hasher = DefaultHasher::new();
    (lengths.len(), &sorted, queue.iter().sum::<u64>(), list.len()).hash(&mut hasher);
    let top: Vec<u64> = std::iter::from_fn(|| heap.pop()).take(5).collect();
    println!("collections {round}: {:x} {ordered:?} {top:?}", hasher.finish());
}

fn sorting(round: u64) {
    let mut random = Random(round ^ 0xfeed);
    let mut numbers: Vec<u64> = (0..20_000).map(|_| random.next() >> 20).collect();
    numbers.sort_by_key(|number| (number % 64, *number));
    let mut words: Vec<String> = numbers.iter().take(3_000).map(|number| format!("{number:o}")).collect();
    words.sort_by(|one, other| other.cmp(one));
    words.dedup();
    numbers.sort_unstable_by(|one, other| other.cmp(one));
    let found = numbers.binary_search_by(|number| numbers[777].cmp(number)).map(|index| numbers[index]);
    println!("sorting {round}: {} {:?} {:?}", words.len(), words.first(), found == Ok(numbers[777]));
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Shape {
    name: String,
    sides: Option<u32>,
    corners: Vec<(f64, f64)>,
}

fn formatting(round: u64) {
    let third = 1.0 / 3.0 + round as f64;
    let shape =
        Shape { name: String::from("square \u{1f980}"), sides: Some(4), corners: vec![(0.0, 1.5), (-2.25e-9, third)] };
    let mut text = String::new();
    let _ = write!(text, "{third:.3} {third:e} {third:>12.4}|{:<8}|{:^+9}|{:#010x}|{:#b}", "left", 42, 0xbeef, 10);
    println!("formatting {round}: {text} {shape:?}");
    println!("{:#?}", Shape { corners: Vec::new(), ..shape });
    let numbers = ["12", "-7", "3.5", "1e300", "inf", "x", "340282366920938463463374607431768211455"];
    let integers: Vec<String> = numbers.iter().map(|text| format!("{:?}", text.parse::<i32>().ok())).collect();
    let floats: Vec<String> = numbers.iter().map(|text| format!("{:?}", text.parse::<f64>().ok())).collect();
    println!("{integers:?} {floats:?} {:?}", numbers[6].parse::<u128>().map(|number| number % 1_000_000_007));
    println!("{} {}", "Grüße, Jürgen".to_uppercase(), "straße".chars().rev().collect::<String>());
}

fn floats(round: u64) {
    // Only what IEEE 754 defines: sines and logarithms differ between libcs in the last place.
    let x = 0.1 + round as f64;
    let sum: f64 = (1..20_000).map(|term| (x * f64::from(term)).fract().sqrt() / f64::from(term)).sum();
    let narrow: f32 = (1..5_000).map(|term| (term as f32).sqrt().mul_add(0.5, x as f32)).sum();
    println!("floats {round}: {sum:?} {narrow:?} {:?} {:?}", (x * 7.3).round_ties_even(), (-x).rem_euclid(0.7));
    println!("{} {} {}", f64::MAX as i32, f64::NAN as u8, (x * 1e9) as u32);
}

trait Animal {
    fn speak(&self) -> String;
}

struct Dog(u32);
struct Cat<'a>(&'a str);

impl Animal for Dog {
    fn speak(&self) -> String {
        "wuff ".repeat(self.0 as usize)
    }
}

impl Animal for Cat<'_> {
    fn speak(&self) -> String {
        format!("{} meows", self.0)
    }
}

struct Noted(Rc<RefCell<Vec<u32>>>, u32);

impl Drop for Noted {
    fn drop(&mut self) {
        self.0.borrow_mut().push(self.1);
    }
}

fn ownership(round: u64) {
    let animals: Vec<Box<dyn Animal>> = vec![Box::new(Dog(2)), Box::new(Cat("Minka")), Box::new(Dog(1))];
    let spoken: Vec<String> = animals.iter().map(|animal| animal.speak()).collect();
    let dropped = Rc::new(RefCell::new(Vec::new()));
    {
        let _first = Noted(dropped.clone(), 1);
        let moved = Noted(dropped.clone(), 2);
        let _ = (Noted(dropped.clone(), 3), round);
        drop(moved);
    }
    let weak: Weak<_> = Rc::downgrade(&dropped);
    let add = |more: u64| move |number: u64| number + more;
    let composed: Vec<Box<dyn Fn(u64) -> u64>> = vec![Box::new(add(round)), Box::new(|number| number * 3)];
    let result = (0..1_000).fold(1, |number, index| composed[index % 2](number) % 1_000_003);
    println!(
        "ownership {round}: {spoken:?} {:?} {:?} {result}",
        dropped.borrow(),
        weak.upgrade().map(|it| it.borrow().len())
    );
}

fn errors(round: u64) {
    let parse = |text: &str| -> Result<i64, Box<dyn std::error::Error>> {
        let (number, unit) = text.split_once(' ').ok_or("no unit")?;
        Ok(number.parse::<i64>()? * if unit == "km" { 1_000 } else { 1 })
    };
    let parsed: Vec<String> = ["5 km", "7 m", "seven m", "9"]
        .iter()
        .map(|text| parse(text).map_or_else(|error| error.to_string(), |metres| metres.to_string()))
        .collect();
    println!(
        "errors {round}: {parsed:?} {:?}",
        fs::read("/no/such/file").map_err(|error| (error.kind(), error.to_string()))
    );
}

fn unwinding(round: u64) {
    let dropped = Rc::new(RefCell::new(Vec::new()));
    let mut caught = Vec::new();
    for depth in 0..5 {
        let noted = dropped.clone();
        let result = panic::catch_unwind(panic::AssertUnwindSafe(|| descend(&noted, depth, round as u32)));
        caught.push(match result {
            Ok(value) => format!("returned {value}"),
            Err(payload) => payload.downcast_ref::<String>().cloned().unwrap_or_else(|| String::from("something else")),
        });
    }
    println!("unwinding {round}: {caught:?} {:?}", dropped.borrow());
}

/// Panics at an odd depth, with something to drop in every frame.
fn descend(dropped: &Rc<RefCell<Vec<u32>>>, depth: u32, round: u32) -> u32 {
    let _noted = Noted(dropped.clone(), depth);
    if depth == 0 {
        return round;
    }
    let spent: u32 = (0..2_000).fold(depth, |sum, number| sum.rotate_left(3) ^ number);
    if depth % 2 == 1 && round % 2 == 0 && depth < 3 {
        panic!("at depth {depth} of round {round} with {spent}");
    }
    descend(dropped, depth - 1, round) + 1
}

fn files(directory: &Path, round: u64) -> io::Result<()> {
    let directory = directory.join(format!("round{round}"));
    fs::create_dir_all(directory.join("below"))?;
    let path = directory.join("lines.txt");
    let mut file = io::BufWriter::new(fs::File::create(&path)?);
    for line in 0..500 {
        writeln!(file, "line {line} of {round}")?;
    }
    drop(file);
    let long =
        BufReader::new(fs::File::open(&path)?).lines().map_while(Result::ok).filter(|line| line.len() > 12).count();
    let mut file = fs::OpenOptions::new().read(true).append(true).open(&path)?;
    file.write_all(b"the end")?;
    file.seek(SeekFrom::End(-7))?;
    let mut end = String::new();
    file.read_to_string(&mut end)?;
    fs::copy(&path, directory.join("below/copy.txt"))?;
    fs::rename(&path, directory.join("renamed.txt"))?;
    let mut names: Vec<_> =
        fs::read_dir(&directory)?.map(|entry| entry.map(|entry| entry.file_name())).collect::<Result<_, _>>()?;
    names.sort();
    let metadata = fs::metadata(directory.join("renamed.txt"))?;
    println!("files {round}: {long} {end:?} {names:?} {} {}", metadata.len(), metadata.permissions().readonly());
    fs::remove_dir_all(&directory)?;
    println!("{}", directory.exists());
    Ok(())
}

fn threads() {
    static TOTAL: AtomicU64 = AtomicU64::new(0);
    static ONCE: OnceLock<String> = OnceLock::new();
    thread_local!(static OWN: RefCell<u64> = const { RefCell::new(0) });
    let shared = Arc::new((Mutex::new(Vec::new()), Condvar::new(), RwLock::new(3_u64)));
    let (sender, receiver) = mpsc::channel();
    let workers: Vec<_> = (0..4_u64)
        .map(|worker| {
            let (shared, sender) = (Arc::clone(&shared), sender.clone());
            let builder = thread::Builder::new().name(format!("worker {worker}")).stack_size(256 << 10);
            builder.spawn(move || {
                OWN.with_borrow_mut(|own| *own += worker);
                for step in 0..1_000 {
                    TOTAL.fetch_add(step * *shared.2.read().unwrap(), Ordering::Relaxed);
                }
                ONCE.get_or_init(|| String::from("set once"));
                sender.send((worker, OWN.with_borrow(|own| *own), thread::current().name().map(String::from))).unwrap();
                shared.0.lock().unwrap().push(worker);
                shared.1.notify_one();
                if worker == 3 {
                    panic::panic_any(worker);
                }
                worker * 2
            })
        })
        .collect::<Result<_, _>>()
        .unwrap();
    drop(sender);
    let (finished, condition, _) = &*shared;
    let mut guard = finished.lock().unwrap();
    while guard.len() < 4 {
        guard = condition.wait(guard).unwrap();
    }
    drop(guard);
    let mut sent: Vec<_> = receiver.iter().collect();
    sent.sort();
    let joined: Vec<String> = workers
        .into_iter()
        .map(|worker| worker.join().map_err(|payload| payload.downcast_ref::<u64>().copied()))
        .map(|result| format!("{result:?}"))
        .collect();
    let scoped: u64 = thread::scope(|scope| {
        let halves = [scope.spawn(|| (1..500).sum::<u64>()), scope.spawn(|| (500..1_001).sum::<u64>())];
        halves.into_iter().map(|half| half.join().unwrap()).sum()
    });
    println!("threads: {sent:?} {joined:?} {scoped} {} {:?}", TOTAL.load(Ordering::Relaxed), ONCE.get());
}

fn surroundings(directory: &Path) -> io::Result<()> {
    let arguments: Vec<String> = env::args().skip(2).collect();
    println!("arguments: {arguments:?} {:?}", env::var("SURVEY_VARIABLE"));
    env::set_current_dir(directory)?;
    println!("{}", env::current_dir()?.ends_with(directory.file_name().unwrap_or_default()));
    let start = (Instant::now(), SystemTime::now());
    thread::sleep(Duration::from_millis(3));
    let elapsed = start.0.elapsed();
    println!("time: {} {}", elapsed >= Duration::from_millis(3), start.1.elapsed().is_ok());
    println!(
        "since 1970: {}",
        start.1.duration_since(SystemTime::UNIX_EPOCH).is_ok_and(|time| time.as_secs() > 1_700_000_000)
    );
    let output = process::Command::new("sh").args(["-c", "echo from the child; exit 3"]).output()?;
    println!("child: {:?} {:?}", String::from_utf8_lossy(&output.stdout), output.status.code());
    println!("{:?}", process::Command::new("/no/such/program").status().map_err(|error| error.kind()));
    println!("{}", thread::available_parallelism().is_ok());
    Ok(())
}

/// What a round consists of.
const TOPICS: &[(&str, fn(u64))] = &[
    ("collections", collections),
    ("sorting", sorting),
    ("formatting", formatting),
    ("floats", floats),
    ("ownership", ownership),
    ("errors", errors),
    ("unwinding", unwinding),
];

fn main() -> io::Result<()> {
    let first = env::args().nth(1).unwrap_or_default();
    match first.as_str() {
        "panic" => panic!("as asked: {:?}", [1, 2, 3].get(7)),
        "abort" => process::abort(),
        "exit" => process::exit(42),
        _ => {}
    }
    panic::set_hook(Box::new(|_| ()));
    let directory = Path::new(&first);
    let rounds: u64 = env::args().nth(2).and_then(|text| text.parse().ok()).unwrap_or(1);
    let without = env::args().nth(3);
    for round in 0..rounds {
        for (name, topic) in TOPICS {
            if without.as_deref() != Some(name) {
                topic(round);
            }
        }
        files(directory, round)?;
    }
    surroundings(directory)?;
    threads();
    Ok(())
}
