use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use nix::sys::epoll::EpollCreateFlags;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn crowd<T>() -> Crowd<T> {
    Crowd::new(Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).unwrap())
}

fn tidies<T>(crowd: &mut Crowd<T>) -> bool {
    let mut done = false;
    crowd.tidy(|| done = true);
    done
}

fn expired<T>(crowd: &mut Crowd<T>) -> Vec<Token> {
    std::iter::from_fn(|| crowd.expired()).collect()
}

/// What the kernel has to tell just now, and of what.
fn told<T>(crowd: &mut Crowd<T>) -> Vec<(Source, EpollFlags)> {
    let mut events = [EpollEvent::empty(); 8];
    let count = crowd.wait(&mut events, [Some(crowd.now())]).unwrap();
    let events = events[..count].iter();
    events
        .map(|event| (Source::of(event), event.events()))
        .collect()
}

#[test]
fn a_source_is_known_again_by_its_event() {
    let last = Token::new(u32::MAX as usize, source::next_generation(u32::MAX - 1));
    let first = Token::new(0, 0);
    for source in [
        Source::Member(first, Side::Near),
        Source::Member(first, Side::Far),
        Source::Member(first, Side::Back),
        Source::Member(first, Side::Aside),
        Source::Member(last, Side::Near),
        Source::Member(last, Side::Far),
        Source::Member(last, Side::Back),
        Source::Member(last, Side::Aside),
        Source::Other(0),
        Source::Other(u32::MAX),
    ] {
        assert_eq!(Source::of(&source.event(EpollFlags::EPOLLIN)), source);
    }
    assert_eq!(Token::from_number(last.number()), last);
}

#[test]
fn a_place_taken_again_is_not_reached_by_the_token_of_who_had_it_before() {
    let mut crowd = crowd();
    let old = crowd.admit("old");
    assert_eq!(crowd.remove(old), Some("old"));
    let new = crowd.admit("new");
    assert_eq!(new.place(), old.place());
    crowd.limit(old, SECOND);
    crowd.enqueue(old);
    assert_eq!(crowd.get(old), None);
    assert_eq!(crowd.get_mut(old), None);
    assert_eq!((crowd.turns(), crowd.remove(old)), (0, None));
    crowd.now += 2 * SECOND;
    assert_eq!(expired(&mut crowd), []);
    assert_eq!((crowd.get(new), crowd.tokens()), (Some(&"new"), vec![new]));
}

#[test]
fn turns_are_taken_in_order_and_one_by_each_however_often_it_asks() {
    let mut crowd = crowd();
    let [first, gone, last] = [1, 2, 3].map(|member| crowd.admit(member));
    for token in [first, gone, first, last, first] {
        crowd.enqueue(token);
    }
    crowd.remove(gone);
    assert_eq!(crowd.turns(), 3);
    assert_eq!(crowd.take_turn(), Some(first));
    crowd.enqueue(first);
    assert_eq!(crowd.take_turn(), None);
    assert_eq!(crowd.take_turn(), Some(last));
    assert_eq!(crowd.take_turn(), Some(first));
    assert_eq!(crowd.turns(), 0);
}

#[test]
fn a_time_limit_that_is_set_anew_counts_from_then_on() {
    let mut crowd = crowd();
    let [put_off, sooner, lifted, gone] = [1, 2, 3, 4].map(|member| crowd.admit(member));
    for (token, first, then) in [
        (put_off, Some(SECOND), Some(300 * SECOND)),
        (sooner, Some(300 * SECOND), Some(SECOND)),
        (lifted, Some(SECOND), None),
        (gone, Some(SECOND), Some(SECOND)),
    ] {
        crowd.limit(token, first);
        crowd.limit(token, then);
    }
    crowd.remove(gone);
    crowd.now += SECOND / 2;
    assert_eq!(expired(&mut crowd), []);
    crowd.now += SECOND;
    assert_eq!(expired(&mut crowd), [sooner]);
    // Farther than the wheel reaches.
    for _ in 0..298 {
        crowd.now += SECOND;
        assert_eq!(expired(&mut crowd), []);
    }
    crowd.now += SECOND;
    assert_eq!(expired(&mut crowd), [put_off]);
    assert_eq!(crowd.wheel.wait(crowd.now), None);
}

#[test]
fn a_limit_that_is_over_at_once_expires_once_and_not_in_the_same_round() {
    let mut crowd = crowd();
    let token = crowd.admit(());
    crowd.limit(token, SECOND);
    crowd.now += 2 * SECOND;
    assert_eq!(crowd.expired(), Some(token));
    crowd.limit(token, Duration::ZERO);
    assert_eq!(expired(&mut crowd), []);
    crowd.now += SECOND;
    assert_eq!(expired(&mut crowd), [token]);
    crowd.limit(token, Duration::MAX);
    assert_eq!(crowd.wheel.wait(crowd.now), None);
}

#[test]
fn who_wants_to_be_called_is_called_at_its_moment() {
    let mut crowd = crowd();
    let [first, second] = [1, 2].map(|member| crowd.admit(member));
    crowd.call(first, SECOND);
    crowd.now += SECOND / 2;
    crowd.call(second, SECOND);
    assert_eq!(crowd.called(), None);
    crowd.now += SECOND / 2;
    assert_eq!((crowd.called(), crowd.called()), (Some(first), None));
    crowd.now += SECOND;
    assert_eq!((crowd.called(), crowd.called()), (Some(second), None));
}

#[test]
fn nobody_waits_longer_than_until_the_first_moment() {
    let mut crowd = crowd();
    crowd.is_loose = false;
    // A fresh wheel and a whole number of ticks, so that nothing is rounded but the last millisecond.
    let timeout = |seconds: u64| EpollTimeout::try_from(seconds * 1000 + 1).unwrap();
    let now = crowd.now;
    assert_eq!(crowd.patience([None]), EpollTimeout::NONE);
    assert_eq!(crowd.patience([None, Some(now + 9 * SECOND)]), timeout(9));
    let token = crowd.admit(());
    assert_eq!(crowd.patience([Some(now + 9 * SECOND)]), timeout(2));
    crowd.limit(token, SECOND);
    assert_eq!(crowd.patience([Some(now + 9 * SECOND)]), timeout(1));
    crowd.call(token, Duration::ZERO);
    assert_eq!(crowd.patience([]), timeout(0));
    crowd.enqueue(token);
    assert_eq!(crowd.patience([]), EpollTimeout::ZERO);
}

#[test]
fn a_change_is_told_once_and_room_only_after_there_was_none() {
    let mut crowd = crowd();
    let (near, mut client) = UnixStream::pair().unwrap();
    near.set_nonblocking(true).unwrap();
    let token = crowd.admit(near);
    let end = crowd.get(token).unwrap();
    crowd.watch(token, Side::Near, end, false).unwrap();
    client.write_all(b"hello").unwrap();
    let near = Source::Member(token, Side::Near);
    assert_eq!(told(&mut crowd), [(near, EpollFlags::EPOLLIN)]);
    assert_eq!(told(&mut crowd), []);

    // It has to be read, or each further event says so again.
    let stream = crowd.get_mut(token).unwrap();
    stream.read_exact(&mut [0; 5]).unwrap();
    while stream.write(&[0; 4096]).is_ok() {}
    for _ in 0..2 {
        crowd.watch_room(token, |stream| [Some((*stream).as_fd()), None]);
    }
    assert_eq!(told(&mut crowd), []);
    client.set_nonblocking(true).unwrap();
    while client.read(&mut [0; 4096]).is_ok() {}
    assert_eq!(told(&mut crowd), [(near, EpollFlags::EPOLLOUT)]);
    // It tells for good now; to ask again would cost a call and an event.
    crowd.watch_room(token, |stream| [Some((*stream).as_fd()), None]);
    assert_eq!(told(&mut crowd), []);
}

#[test]
fn an_end_watched_for_room_from_the_start_is_not_asked_for_it_again() {
    let mut crowd = crowd();
    let (far, _backend) = UnixStream::pair().unwrap();
    let token = crowd.admit(far);
    let end = crowd.get(token).unwrap();
    crowd.watch(token, Side::Far, end, true).unwrap();
    let far = Source::Member(token, Side::Far);
    assert_eq!(told(&mut crowd), [(far, EpollFlags::EPOLLOUT)]);
    // The kernel would tell anew.
    crowd.watch_room(token, |stream| [None, Some((*stream).as_fd())]);
    assert_eq!(told(&mut crowd), []);
}

#[test]
fn each_of_four_descriptors_is_told_apart() {
    let mut crowd = crowd();
    let pairs = [(); 4].map(|()| UnixStream::pair().unwrap());
    let token = crowd.admit(());
    let sides = [Side::Near, Side::Far, Side::Back, Side::Aside];
    for (side, (end, _)) in sides.into_iter().zip(&pairs) {
        crowd.watch(token, side, end, false).unwrap();
    }
    for (side, (_, other)) in sides.into_iter().zip(&pairs) {
        (&*other).write_all(b"x").unwrap();
        let source = Source::Member(token, side);
        assert_eq!(told(&mut crowd), [(source, EpollFlags::EPOLLIN)]);
    }
}

#[test]
fn memory_is_given_back_once_it_is_quiet_and_when_half_of_many_have_gone() {
    let mut crowd = crowd();
    assert!(!tidies(&mut crowd));
    crowd.now += QUIET;
    assert!(tidies(&mut crowd));
    assert!(!tidies(&mut crowd));

    crowd.stirred = crowd.now;
    let tokens: Vec<Token> = (0..MANY).map(|_| crowd.admit(())).collect();
    assert!(!tidies(&mut crowd));
    for token in &tokens[..MANY / 2] {
        assert!(!tidies(&mut crowd));
        crowd.remove(*token);
    }
    assert!(tidies(&mut crowd));
    assert!(!tidies(&mut crowd));
}

#[test]
fn as_long_as_something_happens_it_is_not_quiet() {
    let mut crowd = crowd();
    let (near, mut client) = UnixStream::pair().unwrap();
    let token = crowd.admit(());
    crowd.watch(token, Side::Near, &near, false).unwrap();
    client.write_all(b"hello").unwrap();
    crowd.stirred -= QUIET;
    assert_eq!(told(&mut crowd).len(), 1);
    assert!(!tidies(&mut crowd));
    crowd.stirred -= QUIET;
    assert_eq!(told(&mut crowd).len(), 0);
    assert!(tidies(&mut crowd));
}
