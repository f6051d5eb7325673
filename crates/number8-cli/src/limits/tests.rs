use std::time::Duration;

use super::*;
use crate::options::{self, Fixed, SECTIONS, Use};
use crate::settings::{Origin, Setting, Settings};

/// Each option of these sections has a value here that is nobody else's, and that value is found where it belongs.
#[test]
fn every_limit_goes_where_it_belongs() {
    let values = [
        ("io-threads", "3"),
        ("lane-threads", "4"),
        ("lane-queue", "5"),
        ("grace", "6s"),
        ("timeout-first", "11s"),
        ("timeout-handshake", "12s"),
        ("timeout-head", "13s"),
        ("timeout-body", "14s"),
        ("min-body-rate", "15"),
        ("min-body-rate-after", "16s"),
        ("timeout-write", "17s"),
        ("timeout-idle", "18s"),
        ("timeout-linger", "19s"),
        ("max-head", "2001"),
        ("max-fields", "1002"),
        ("max-uri", "1003"),
        ("max-body", "1004"),
        ("max-linger", "1005"),
        ("max-connections", "1006"),
        ("max-connections-per-ip", "1007"),
        ("max-buffered", "100001"),
        ("http2-streams", "1009"),
        ("http2-window", "100002"),
        ("http2-resets", "1011"),
        ("http2-control-frames", "1012"),
    ];
    let is_limit = |heading| ["Workers", "Time-outs", "Limits"].contains(&heading);
    let limits = SECTIONS.iter().filter(|section| is_limit(section.heading));
    let names: Vec<&str> =
        limits.flat_map(|section| section.options).map(|option| option.name).collect();
    assert_eq!(values.map(|(name, _)| name).to_vec(), names);
    // The server takes them once.
    for name in names {
        assert_eq!(options::find(name).unwrap().fixed, Fixed::Always, "{name}");
    }

    let mut settings = Settings::default();
    for (name, value) in values.into_iter().chain([("path", ".")]) {
        let setting = Setting { origin: Origin::Flag, values: vec![value.to_owned()] };
        settings.set(options::find(name).unwrap(), setting);
    }
    let config = Config::check(&settings.completed(Use::Files).unwrap()).unwrap();
    let options = options(&config);

    let seconds = Duration::from_secs;
    assert_eq!((options.workers, options.grace), (3, seconds(6)));
    assert_eq!((options.lane.threads_max, options.lane.queue_max), (4, 5));
    let timeouts = Timeouts {
        first_byte: seconds(11),
        handshake: seconds(12),
        head: seconds(13),
        body: seconds(14),
        body_rate_min: 15,
        body_rate_after: seconds(16),
        write: seconds(17),
        idle: seconds(18),
        linger: seconds(19),
    };
    assert_eq!(options.timeouts, timeouts);
    let limits = Limits {
        http: number8::server::HttpLimits {
            head_bytes_max: 2001,
            fields_max: 1002,
            uri_bytes_max: 1003,
            drain_bytes_max: 1005,
            ..Default::default()
        },
        body_bytes_max: 1004,
        connections_max: 1006,
        connections_per_client_max: 1007,
        buffered_bytes_max: 100_001,
        linger_bytes_max: 1005,
    };
    assert_eq!(options.limits, limits);
    let http2 = Http2Options {
        is_on: true,
        streams_max: 1009,
        stream_window_bytes: 100_002,
        connection_window_bytes: 400_008,
        resets_max: 1011,
        control_frames_max: 1012,
    };
    assert_eq!(options.http2, http2);
}
