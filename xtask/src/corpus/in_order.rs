//! Work done several items at once, told in the items' order.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

/// Calls `work` for every item, on at most `at_once` threads, and `tell` on the caller's thread
/// with each item and its result: in the items' order, and as soon as that order allows.
///
/// # Errors
///
/// The first error of `tell` is returned. Work that has begun by then is finished, the rest left.
pub(super) fn in_order<T, R, E>(
    items: &[T],
    at_once: usize,
    work: impl Fn(&T) -> R + Sync,
    mut tell: impl FnMut(&T, R) -> Result<(), E>,
) -> Result<(), E>
where
    T: Sync,
    R: Send,
{
    let next = AtomicUsize::new(0);
    let (results, received) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..at_once.min(items.len()) {
            let (results, next, work) = (results.clone(), &next, &work);
            scope.spawn(move || {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(index) else { break };
                    // Nobody listens any more: stop.
                    if results.send((index, work(item))).is_err() {
                        break;
                    }
                }
            });
        }
        drop(results);

        // Moved here so that an error below closes the channel before the threads are joined.
        let received = received;
        let mut waiting: Vec<Option<R>> = items.iter().map(|_| None).collect();
        let mut told = 0;
        for (index, result) in &received {
            waiting[index] = Some(result);
            while let Some(result) = waiting.get_mut(told).and_then(Option::take) {
                tell(&items[told], result)?;
                told += 1;
            }
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use super::*;

    #[test]
    fn tells_in_order() {
        let items = [30, 1, 20, 2, 0];
        let mut told = Vec::new();
        let done = in_order(
            &items,
            3,
            |&milliseconds| {
                thread::sleep(Duration::from_millis(milliseconds));
                milliseconds * 2
            },
            |&item, result| {
                told.push((item, result));
                Ok::<_, ()>(())
            },
        );
        assert_eq!(done, Ok(()));
        assert_eq!(told, [(30, 60), (1, 2), (20, 40), (2, 4), (0, 0)]);
    }

    #[test]
    fn stops_at_an_error() {
        let items: Vec<usize> = (0..1000).collect();
        let worked = Mutex::new(0);
        let done = in_order(
            &items,
            2,
            |_| {
                thread::sleep(Duration::from_millis(1));
                *worked.lock().unwrap() += 1;
            },
            |&item, ()| if item == 3 { Err("enough") } else { Ok(()) },
        );
        assert_eq!(done, Err("enough"));
        assert!(*worked.lock().unwrap() < items.len());
    }

    #[test]
    fn has_nothing_to_tell_of_nothing() {
        let none: [(); 0] = [];
        assert_eq!(in_order(&none, 4, |_| (), |_, ()| Err("told")), Ok(()));
    }
}
