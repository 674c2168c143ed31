//! Counts instructions: a child process does the work, and this one steps through it.
//!
//! No hardware counters and no rights are needed, only that a process may trace its own child. A step takes microseconds, and
//! a signature a hundred thousand steps and more. So primitives are counted and run at full speed, where they are not what is
//! measured: their first instruction is replaced by an invalid one, which stops the child, and so is the one that they return
//! to.

use std::collections::BTreeMap;
use std::env;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

use nix::errno::Errno;
use nix::sys::ptrace::{self, AddressType, Options};
use nix::sys::signal::{Signal, raise};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use smp_core::crypto::{X25519PrivateKey, authenticator, ed448, ed25519};

use super::{Cost, Depth, PRIMITIVES};

/// What each piece of work costs, looked at so deeply.
///
/// # Errors
/// Why it cannot be found out here.
pub(crate) fn costs(depths: &[Depth]) -> Result<Vec<Cost>, String> {
    let program = env::current_exe().map_err(|error| format!("this program is not found: {error}"))?;
    let child = Command::new(program)
        .env(CHILD, "1")
        // Copies of a kilobyte and more are a single instruction otherwise, of which each byte is a step.
        .env("GLIBC_TUNABLES", "glibc.cpu.x86_rep_movsb_threshold=1000000000")
        .stdout(Stdio::piped())
        .spawn();
    let mut child = child.map_err(|error| format!("no child process: {error}"))?;
    let costs = Tracer::new(&mut child).and_then(|tracer| tracer.run(depths));
    // Whatever it came to, nothing of it is left. It may have ended already.
    let _ = child.kill();
    let _ = child.wait();
    costs
}

/// True in the child.
pub(crate) fn is_child() -> bool {
    env::var_os(CHILD).is_some()
}

/// The child: says where the primitives are, and marks the work by signals. `work` is given what carries out a piece of it.
pub(crate) fn serve(work: impl FnOnce(&mut dyn FnMut(&mut dyn FnMut()))) {
    let mut out = std::io::stdout();
    let said = match ptrace::traceme() {
        Ok(()) => writeln!(out, "{}", addresses().map(|address| address.to_string()).join(" ")),
        Err(error) => writeln!(out, "{DENIED}{error}"),
    };
    said.and_then(|()| out.flush()).expect("the parent listens");
    raise(Signal::SIGSTOP).expect("a signal to ourselves");
    work(&mut |measured| {
        raise(BEGIN).expect("a signal to ourselves");
        measured();
        raise(END).expect("a signal to ourselves");
    });
}

/// In the order of [`PRIMITIVES`].
fn addresses() -> [usize; PRIMITIVES.len()] {
    [
        ed25519::verify as *const () as usize,
        ed448::verify as *const () as usize,
        X25519PrivateKey::diffie_hellman as *const () as usize,
        authenticator::verify as *const () as usize,
    ]
}

struct Tracer {
    child: Pid,
    primitives: Vec<usize>,
    /// What stood at the addresses that are replaced now.
    replaced: BTreeMap<usize, i64>,
}

impl Tracer {
    fn new(child: &mut Child) -> Result<Self, String> {
        let mut line = String::new();
        let output = child.stdout.take().expect("it is piped");
        BufReader::new(output).read_line(&mut line).map_err(|error| format!("a silent child: {error}"))?;
        if let Some(error) = line.strip_prefix(DENIED) {
            return Err(format!("tracing is not allowed: {}", error.trim()));
        }
        let primitives: Vec<_> = line.split_whitespace().flat_map(str::parse).collect();
        if primitives.len() != PRIMITIVES.len() {
            return Err("tracing ended the child process".to_owned());
        }
        let child = Pid::from_raw(i32::try_from(child.id()).expect("a process id"));
        let mut tracer = Self { child, primitives, replaced: BTreeMap::new() };
        tracer.expect(Signal::SIGSTOP);
        let denied = |error: Errno| format!("tracing is not allowed: {error}");
        ptrace::setoptions(child, Options::PTRACE_O_EXITKILL).map_err(denied)?;
        // Whether code can be replaced, before anything depends on it.
        tracer.replace(tracer.primitives[0]).and_then(|()| tracer.restore_all()).map_err(denied)?;
        Ok(tracer)
    }

    /// Lets the child work, and counts.
    fn run(mut self, depths: &[Depth]) -> Result<Vec<Cost>, String> {
        let failed = |error: Errno| format!("tracing stopped: {error}");
        let mut costs = Vec::new();
        ptrace::cont(self.child, None).map_err(failed)?;
        loop {
            match waitpid(self.child, None).map_err(failed)? {
                WaitStatus::Stopped(_, BEGIN) => {
                    costs.push(self.measure(depths[costs.len()]).map_err(failed)?);
                }
                WaitStatus::Exited(_, 0) => return Ok(costs),
                other => panic!("the child came to {other:?}"),
            }
            ptrace::cont(self.child, None).map_err(failed)?;
        }
    }

    /// From one signal to the other.
    fn measure(&mut self, depth: Depth) -> Result<Cost, Errno> {
        let mut cost = Cost::default();
        if depth != Depth::Everything {
            self.primitives.clone().into_iter().try_for_each(|address| self.replace(address))?;
        }
        loop {
            match depth {
                Depth::Calls => ptrace::cont(self.child, None)?,
                Depth::Around | Depth::Everything => ptrace::step(self.child, None)?,
            }
            match waitpid(self.child, None)? {
                WaitStatus::Stopped(_, Signal::SIGTRAP) => cost.instructions += 1,
                WaitStatus::Stopped(_, INVALID) => {
                    let at = self.step_over_primitive()?;
                    cost.calls[at] += 1;
                }
                WaitStatus::Stopped(_, END) => break,
                other => panic!("the child came to {other:?}"),
            }
        }
        self.restore_all()?;
        Ok(cost)
    }

    /// The child is about to execute a primitive: lets it do that, and says which it was.
    fn step_over_primitive(&mut self) -> Result<usize, Errno> {
        let registers = ptrace::getregs(self.child)?;
        let entry = usize::try_from(registers.rip).expect("an address");
        let at =
            self.primitives.iter().position(|address| *address == entry).expect("a replaced instruction");
        let back = ptrace::read(self.child, registers.rsp as AddressType)?;
        let back = usize::try_from(back).expect("an address");
        self.restore(entry)?;
        self.replace(back)?;
        ptrace::cont(self.child, None)?;
        self.expect(INVALID);
        self.restore(back)?;
        self.replace(entry)?;
        Ok(at)
    }

    /// Puts an invalid instruction there.
    fn replace(&mut self, address: usize) -> Result<(), Errno> {
        const UD2: i64 = 0x0b0f;
        let word = ptrace::read(self.child, address as AddressType)?;
        self.replaced.insert(address, word);
        ptrace::write(self.child, address as AddressType, word & !0xffff | UD2)
    }

    fn restore(&mut self, address: usize) -> Result<(), Errno> {
        let word = self.replaced.remove(&address).expect("it was replaced");
        ptrace::write(self.child, address as AddressType, word)
    }

    fn restore_all(&mut self) -> Result<(), Errno> {
        let addresses: Vec<_> = self.replaced.keys().copied().collect();
        addresses.into_iter().try_for_each(|address| self.restore(address))
    }

    fn expect(&self, signal: Signal) {
        let status = waitpid(self.child, None);
        assert!(matches!(status, Ok(WaitStatus::Stopped(_, found)) if found == signal), "{status:?}");
    }
}

const CHILD: &str = "SMP_AUTH_TIMING_CHILD";
const DENIED: &str = "denied: ";
const BEGIN: Signal = Signal::SIGUSR1;
const END: Signal = Signal::SIGUSR2;
/// What an invalid instruction causes.
const INVALID: Signal = Signal::SIGILL;
