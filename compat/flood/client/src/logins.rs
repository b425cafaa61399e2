//! Connections that log in and leave, from `--threads`, for `--seconds`.

use crate::login::Door;
use crate::{Options, percentile};
use std::sync::Mutex;
use std::time::{Duration, Instant};

#[derive(Default)]
struct Seen {
    times_us: Vec<u64>,
    errors: usize,
    first_error: Option<String>,
}

pub fn run(options: &Options) -> Result<(), String> {
    let door = Door::new(options)?;
    let length = Duration::from_secs(options.number("seconds", 5)? as u64);
    let threads = options.number("threads", 4)?;
    let seen = Mutex::new(Seen::default());
    // Whoever is first makes the key from the password.
    drop(door.enter()?);
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while began.elapsed() < length {
                    let at = Instant::now();
                    let entered = door.enter();
                    let took = at.elapsed().as_micros() as u64;
                    let Ok(mut seen) = seen.lock() else { return };
                    match entered {
                        Ok(_) => seen.times_us.push(took),
                        Err(why) => {
                            seen.errors += 1;
                            seen.first_error.get_or_insert(why);
                        }
                    }
                }
            });
        }
    });
    let seconds = began.elapsed().as_secs_f64();
    let mut seen = seen.into_inner().map_err(|error| error.to_string())?;
    seen.times_us.sort_unstable();
    println!(
        "logins={} per_s={:.1} p50_us={} p99_us={} errors={}",
        seen.times_us.len(),
        seen.times_us.len() as f64 / seconds,
        percentile(&seen.times_us, 0.5),
        percentile(&seen.times_us, 0.99),
        seen.errors
    );
    seen.first_error.map_or(Ok(()), Err)
}
