//! The process between the server and a program: it has no other work than to see that nothing of the program is left.
//!
//! It is a copy of the server that never became another program, so it must not allocate, lock or panic. It is the *subreaper*
//! of all that the program starts: who loses its parent, by a double fork with `setsid` too, becomes its child. So it can
//! go on until it has no child any more, and then nothing is left.

use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions};
use rustix::time::{ClockId, clock_gettime};

use super::plan::Supervisor;
use super::report::{Limit, Record};
use super::tree;

/// How a program is brought to its end.
#[derive(Debug, Clone, Copy)]
enum Phase {
    Running,
    /// It gets the next signal at this time.
    Asking {
        asked: Asked,
        next_ms: u64,
    },
    /// There is nothing to wait for.
    Killing {
        since_ms: u64,
    },
}

#[derive(Debug, Clone, Copy)]
enum Asked {
    Nothing,
    First,
    Terminate,
}

struct Run<'a> {
    supervisor: &'a mut Supervisor,
    program: i32,
    has_ended: bool,
    phase: Phase,
    has_server: bool,
    /// When the limits are looked at next while it is asked to end.
    look_ms: u64,
}

/// Returns when nothing of the program is left.
pub(super) fn run(supervisor: &mut Supervisor, program: Pid) {
    let held = rustix::process::pidfd_open(program, PidfdFlags::empty()).ok();
    let program = program.as_raw_nonzero().get();
    let phase = Phase::Running;
    let mut run =
        Run { supervisor, program, has_ended: false, phase, has_server: true, look_ms: 0 };
    loop {
        if run.collect() == Left::Nothing {
            break;
        }
        let now_ms = now_ms();
        let pause = match run.phase {
            Phase::Running if run.has_ended => {
                run.phase = Phase::Asking { asked: Asked::First, next_ms: now_ms };
                continue;
            }
            Phase::Running => run.look_at_limits(held.is_some()),
            Phase::Asking { asked, next_ms } => run.ask(asked, next_ms, now_ms),
            Phase::Killing { since_ms } if now_ms > since_ms + GIVE_UP_MS => break,
            Phase::Killing { .. } => run.kill(),
        };
        let watched = if run.has_ended { None } else { held.as_ref() };
        let order = wait(run.has_server.then_some(&run.supervisor.control), watched, pause);
        run.obey(order, now_ms);
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Left {
    Nothing,
    Something,
}

impl Run<'_> {
    /// Collects those who have ended.
    fn collect(&mut self) -> Left {
        loop {
            match rustix::process::wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) if pid.as_raw_nonzero().get() == self.program => {
                    self.has_ended = true;
                    let signal = status.terminating_signal().map(|signal| -signal);
                    self.tell(&Record::Ended(status.exit_status().or(signal).unwrap_or_default()));
                }
                Ok(Some(_)) => {}
                Ok(None) => return Left::Something,
                Err(_) => return Left::Nothing,
            }
        }
    }

    /// Returns how long to wait before the next look.
    fn look_at_limits(&mut self, hears_of_end: bool) -> Duration {
        let supervisor = &mut *self.supervisor;
        let found = supervisor.tree.look();
        let is_too_many = supervisor.processes_max.is_some_and(|most| found.len() > most);
        // Until the program is loaded, what there is in its process is the server's.
        let program = self.program;
        let has_memory = |process: &&tree::Process| !(process.pid == program && process.is_copy);
        let is_too_much = supervisor.memory_max.is_some_and(|most| {
            let found = found.iter().filter(has_memory);
            let resident: u64 = found.clone().map(|process| process.resident_pages).sum();
            // What processes share is in the sum several times: only what exceeds the limit is worth the exact figure.
            resident.saturating_mul(supervisor.page_bytes) > most && {
                let share = |process: &tree::Process| {
                    tree::share_of_memory(process.pid)
                        .unwrap_or(process.resident_pages.saturating_mul(supervisor.page_bytes))
                };
                found.map(share).sum::<u64>() > most
            }
        });
        let limit = match (is_too_many, is_too_much) {
            (true, _) => Limit::Processes,
            (_, true) => Limit::Memory,
            _ => return if hears_of_end { TICK } else { SHORT_TICK },
        };
        self.tell(&Record::Limit(limit));
        self.phase = Phase::Killing { since_ms: now_ms() };
        Duration::ZERO
    }

    /// Sends the next signal when it is time. A program that has ended gets no time for what it has left behind but to
    /// tidy up.
    fn ask(&mut self, asked: Asked, next_ms: u64, now_ms: u64) -> Duration {
        if now_ms < next_ms {
            // Who is asked to end may do anything but that, and has as long as it was given.
            if !self.has_ended && now_ms >= self.look_ms {
                self.look_ms = now_ms + TICK.as_millis() as u64;
                self.look_at_limits(true);
            }
            return STEP.min(Duration::from_millis(next_ms - now_ms));
        }
        let grace_ms = self.supervisor.grace.as_millis() as u64;
        let (asked, next_ms) = match asked {
            Asked::Nothing => {
                self.signal_all(self.supervisor.first_signal);
                (Asked::First, now_ms + grace_ms / 2)
            }
            Asked::First => {
                self.signal_all(Signal::TERM);
                // Who is stopped hears of it only when it goes on.
                self.signal_all(Signal::CONT);
                (
                    Asked::Terminate,
                    now_ms + if self.has_ended { LEFT_BEHIND_MS } else { grace_ms / 2 },
                )
            }
            Asked::Terminate => {
                self.phase = Phase::Killing { since_ms: now_ms };
                return Duration::ZERO;
            }
        };
        self.phase = Phase::Asking { asked, next_ms };
        STEP
    }

    /// First all are stopped, again and again until nobody is left who could start others: then they cannot multiply
    /// faster than they are killed, as the stopped ones fill the number of those that there may be.
    fn kill(&mut self) -> Duration {
        if let Some(group) = &self.supervisor.group_kill {
            let _ = rustix::io::write(group, b"1");
        }
        for _ in 0..STOP_ROUNDS {
            let mut is_still = true;
            for process in self.supervisor.tree.look() {
                if !matches!(process.state, b'T' | b't' | b'Z' | b'X') {
                    tree::signal(process, Signal::STOP);
                    is_still = false;
                }
            }
            if is_still {
                break;
            }
        }
        self.signal_all(Signal::KILL);
        STEP
    }

    fn signal_all(&mut self, signal: Signal) {
        let found = self.supervisor.tree.look();
        for process in found {
            tree::signal(process, signal);
        }
        // Where there is no /proc, the program itself at least, which has not been collected.
        if found.is_empty()
            && !self.has_ended
            && let Some(program) = Pid::from_raw(self.program)
        {
            let _ = rustix::process::kill_process_group(program, signal);
            let _ = rustix::process::kill_process(program, signal);
        }
    }

    fn obey(&mut self, order: Order, now_ms: u64) {
        let ask = Phase::Asking { asked: Asked::Nothing, next_ms: now_ms };
        match (order, self.phase) {
            (Order::Kill, Phase::Running | Phase::Asking { .. }) => {
                self.phase = Phase::Killing { since_ms: now_ms };
            }
            (Order::Stop, Phase::Running) => self.phase = ask,
            (Order::ServerIsGone, phase) => {
                self.has_server = false;
                if matches!(phase, Phase::Running) {
                    self.phase = ask;
                }
            }
            _ => {}
        }
    }

    fn tell(&self, record: &Record) {
        let _ = rustix::io::write(&self.supervisor.report, &record.encode());
    }
}

/// What the server wants.
#[derive(Debug, Clone, Copy)]
enum Order {
    None,
    Stop,
    Kill,
    ServerIsGone,
}

/// Waits for an order, for the end of the program, or for `pause`.
fn wait(
    control: Option<&impl std::os::fd::AsFd>,
    program: Option<&impl std::os::fd::AsFd>,
    pause: Duration,
) -> Order {
    let pause = Timespec { tv_sec: pause.as_secs() as _, tv_nsec: pause.subsec_nanos().into() };
    match (control, program) {
        (Some(control), Some(program)) => {
            let of = |fd| PollFd::from_borrowed_fd(fd, PollFlags::IN);
            let _ = poll(&mut [of(control.as_fd()), of(program.as_fd())], Some(&pause));
        }
        (Some(control), None) => {
            let _ = poll(&mut [PollFd::new(control, PollFlags::IN)], Some(&pause));
        }
        (None, Some(program)) => {
            let _ = poll(&mut [PollFd::new(program, PollFlags::IN)], Some(&pause));
        }
        (None, None) => {
            let _ = poll(&mut [], Some(&pause));
        }
    }
    let Some(control) = control else { return Order::None };
    let mut orders = [0; 16];
    match rustix::io::read(control, &mut orders) {
        Ok(0) => Order::ServerIsGone,
        Ok(length) if orders.iter().take(length).any(|order| *order == KILL) => Order::Kill,
        Ok(_) => Order::Stop,
        Err(_) => Order::None,
    }
}

fn now_ms() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1000 + now.tv_nsec as u64 / 1_000_000
}

/// The order to ask the program to end.
pub(super) const STOP: u8 = b's';
/// The order to end it at once.
pub(super) const KILL: u8 = b'k';

/// How often the program's use of memory and processes is looked at.
const TICK: Duration = Duration::from_millis(250);
/// The same where only looking tells that the program has ended (before Linux 5.3).
const SHORT_TICK: Duration = Duration::from_millis(50);
/// How often is looked who is left.
const STEP: Duration = Duration::from_millis(10);
/// How long what the program has left behind may take to end.
const LEFT_BEHIND_MS: u64 = 500;
/// How long a process may not die that has been killed: then a driver hangs, and waiting longer helps nobody.
const GIVE_UP_MS: u64 = 10_000;
/// How often those that run are stopped before all are killed. More than enough, as there cannot be more than a limit.
const STOP_ROUNDS: u32 = 64;
