//! A client that behaves: logged in, one record of 100 bytes at a time, `--rate` a second, acks=all.
//!
//! The latency of a record is from when its time had come, or, if the client slept until then, from when it woke: what the
//! answer before it took is counted, what the system's alarm clock took is not.

use crate::login::Door;
use crate::{Options, percentile, wire};
use std::sync::mpsc::{self, TryRecvError};
use std::time::{Duration, Instant};

const SIZE: usize = 100;

pub fn run(options: &Options) -> Result<(), String> {
    let door = Door::new(options)?;
    let pause = Duration::from_secs(1) / options.number("rate", 1000)? as u32;
    let frame = wire::produce(options.text("topic")?, SIZE);
    let mut stream = door.enter()?;
    let (turn, phases) = mpsc::channel();
    std::thread::spawn(move || {
        // Dropping the sender is the end.
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if turn.send(line).is_err() {
                return;
            }
        }
    });
    println!("ready=1");
    let mut times_us = Vec::new();
    let mut due = Instant::now();
    loop {
        let now = Instant::now();
        let began = if now < due {
            std::thread::sleep(due - now);
            Instant::now()
        } else {
            due
        };
        let body = wire::call(&mut *stream, &frame)?;
        times_us.push(began.elapsed().as_micros() as u64);
        match wire::produce_error(&body)? {
            0 => {}
            error => return Err(format!("a record was refused with error {error}")),
        }
        due += pause;
        match phases.try_recv() {
            Err(TryRecvError::Empty) => {}
            Ok(_) => report(&mut times_us),
            Err(TryRecvError::Disconnected) => return Ok(()),
        }
    }
}

fn report(times_us: &mut Vec<u64>) {
    times_us.sort_unstable();
    let of = |q| percentile(times_us, q);
    println!(
        "records={} p50_us={} p99_us={} p999_us={} max_us={}",
        times_us.len(),
        of(0.5),
        of(0.99),
        of(0.999),
        of(1.0)
    );
    times_us.clear();
}
