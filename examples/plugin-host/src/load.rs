//! Requests from several threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long a thread waits between two requests.
const PAUSE: Duration = Duration::from_micros(200);

/// Threads that make requests until this is dropped or [finished](Load::finish).
pub struct Load {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    /// Calls `request` again and again from each of `threads` threads, with a number that counts
    /// up in each of them.
    pub fn start(threads: usize, request: impl Fn(u64) + Send + Sync + 'static) -> Load {
        let request = Arc::new(request);
        let stop = Arc::new(AtomicBool::new(false));
        let thread = |_| {
            let (request, stop) = (request.clone(), stop.clone());
            std::thread::spawn(move || {
                let numbers = 0..;
                for number in numbers.take_while(|_| !stop.load(Ordering::Relaxed)) {
                    request(number);
                    std::thread::sleep(PAUSE);
                }
            })
        };
        Load {
            threads: (0..threads).map(thread).collect(),
            stop,
        }
    }

    /// Ends the threads. Says whether all of them came to their end without a panic.
    pub fn finish(mut self) -> bool {
        self.join()
    }

    fn join(&mut self) -> bool {
        self.stop.store(true, Ordering::Relaxed);
        let joined = self.threads.drain(..).map(|thread| thread.join().is_ok());
        joined.fold(true, |all, one| all & one)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.join();
    }
}
