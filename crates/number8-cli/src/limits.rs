//! What the configuration says of threads, time and memory, as the server takes it.

use number8::server::{Http2Options, LaneOptions, Limits, Options, Timeouts};

use crate::config::Config;

pub(crate) fn options(config: &Config) -> Options {
    let (timeouts, limits) = (&config.timeouts, &config.limits);
    Options {
        workers: config.workers.io_threads,
        grace: config.workers.grace,
        metrics: config.answers.metrics.is_some(),
        release_start: true,
        lane: LaneOptions {
            threads_max: config.workers.lane_threads,
            queue_max: config.workers.lane_queue,
            ..LaneOptions::default()
        },
        http2: Http2Options {
            is_on: limits.http2_streams > 0,
            streams_max: limits.http2_streams,
            stream_window_bytes: limits.http2_window_bytes,
            connection_window_bytes: limits.http2_window_bytes.saturating_mul(4),
            resets_max: limits.http2_resets,
            control_frames_max: limits.http2_control_frames,
        },
        timeouts: Timeouts {
            first_byte: timeouts.first,
            handshake: timeouts.handshake,
            head: timeouts.head,
            body: timeouts.body,
            body_rate_min: limits.body_bytes_per_second_min,
            body_rate_after: timeouts.body_rate_after,
            write: timeouts.write,
            idle: timeouts.idle,
            linger: timeouts.linger,
        },
        limits: Limits {
            http: number8::server::HttpLimits {
                head_bytes_max: limits.head_bytes,
                fields_max: limits.fields,
                uri_bytes_max: limits.uri_bytes,
                drain_bytes_max: limits.linger_bytes,
                lenient: config.answers.lenient,
                ..Default::default()
            },
            body_bytes_max: limits.body_bytes,
            connections_max: limits.connections,
            connections_per_client_max: limits.connections_per_ip.unwrap_or(usize::MAX),
            buffered_bytes_max: limits.buffered_bytes,
            linger_bytes_max: limits.linger_bytes,
        },
    }
}

#[cfg(test)]
mod tests;
