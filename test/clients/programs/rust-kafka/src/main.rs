//! Scenarios of rskafka: rskafka SERVER SCENARIO.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeZone, Utc};
use rskafka::client::error::{Error, ProtocolError};
use rskafka::client::partition::{Compression, OffsetAt, PartitionClient, UnknownTopicHandling};
use rskafka::client::{Client, ClientBuilder};
use rskafka::record::{Record, RecordAndOffset};

const START: i64 = 1_700_000_000_000;
const TIMEOUT_MS: i32 = 5_000;
const BYTES: std::ops::Range<i32> = 1..1_000_000;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let client = ClientBuilder::new(vec![arguments[1].clone()]).build().await.unwrap();
    let topic = format!("rust-{}-{}", arguments[2], std::process::id());
    match arguments[2].as_str() {
        "codecs" => codecs(&client, &topic).await,
        "nulls" => nulls(&client, &topic).await,
        "offsets" => offsets(&client, &topic).await,
        "topics" => topics(&client, &topic).await,
        other => panic!("no scenario {other}"),
    }
    println!("done");
}

async fn create(client: &Client, topic: &str, partitions: i32) {
    let controller = client.controller_client().unwrap();
    controller.create_topic(topic, partitions, 1, TIMEOUT_MS).await.unwrap();
}

async fn partition(client: &Client, topic: &str, number: i32) -> PartitionClient {
    client.partition_client(topic, number, UnknownTopicHandling::Error).await.unwrap()
}

fn at(milliseconds: i64) -> DateTime<Utc> {
    Utc.timestamp_millis_opt(START + milliseconds).unwrap()
}

fn record(key: Option<&[u8]>, value: Option<&[u8]>, milliseconds: i64) -> Record {
    Record {
        key: key.map(<[u8]>::to_vec),
        value: value.map(<[u8]>::to_vec),
        headers: BTreeMap::new(),
        timestamp: at(milliseconds),
    }
}

/// A body of which a part repeats, and a part does not.
fn body(key: &str) -> Vec<u8> {
    let mut state = key.bytes().fold(1u64, |sum, byte| sum.wrapping_mul(31) + u64::from(byte));
    let mut bytes = key.repeat(100).into_bytes();
    for _ in 0..500 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        bytes.push((state >> 56) as u8);
    }
    bytes
}

async fn take(from: &PartitionClient, mut offset: i64, count: usize) -> Vec<RecordAndOffset> {
    let mut got = Vec::new();
    while got.len() < count {
        let (records, high) = from.fetch_records(offset, BYTES, TIMEOUT_MS).await.unwrap();
        assert!(!records.is_empty(), "{} of {count} records, end {high}", got.len());
        offset = records.last().unwrap().offset + 1;
        got.extend(records);
    }
    assert_eq!(got.len(), count);
    got
}

async fn codecs(client: &Client, topic: &str) {
    create(client, topic, 3).await;
    let all = [
        Compression::NoCompression,
        Compression::Gzip,
        Compression::Lz4,
        Compression::Snappy,
        Compression::Zstd,
    ];
    for number in 0..3 {
        let to = partition(client, topic, number).await;
        let mut wanted = Vec::new();
        for codec in all {
            let mut batch = Vec::new();
            for n in 0..20 {
                let key = format!("{codec:?} {number} {n}");
                let mut one = record(Some(key.as_bytes()), Some(&body(&key)), n);
                one.headers.insert("a".into(), vec![0, 255]);
                one.headers.insert("empty".into(), Vec::new());
                batch.push(one);
            }
            let offsets = to.produce(batch.clone(), codec).await.unwrap();
            let first = wanted.len() as i64;
            assert_eq!(offsets, (first..first + 20).collect::<Vec<i64>>());
            wanted.extend(batch);
        }
        let got = take(&to, 0, wanted.len()).await;
        for (n, one) in got.into_iter().enumerate() {
            assert_eq!((one.offset, &one.record), (n as i64, &wanted[n]));
        }
    }
}

async fn nulls(client: &Client, topic: &str) {
    create(client, topic, 1).await;
    let to = partition(client, topic, 0).await;
    let (key, value): (&[u8], &[u8]) = (b"key", b"value");
    let wanted = vec![
        record(Some(key), Some(value), 0),
        record(None, Some(value), 0),
        record(Some(key), None, 0),
        record(Some(b""), Some(b""), 0),
        record(None, None, 0),
    ];
    to.produce(wanted.clone(), Compression::NoCompression).await.unwrap();
    let got: Vec<Record> = take(&to, 0, 5).await.into_iter().map(|one| one.record).collect();
    assert_eq!(got, wanted);
}

async fn offsets(client: &Client, topic: &str) {
    create(client, topic, 1).await;
    let to = partition(client, topic, 0).await;
    for n in 0..10 {
        let one = record(None, Some(n.to_string().as_bytes()), n * 1000);
        to.produce(vec![one], Compression::NoCompression).await.unwrap();
    }
    assert_eq!(to.get_offset(OffsetAt::Earliest).await.unwrap(), 0);
    assert_eq!(to.get_offset(OffsetAt::Latest).await.unwrap(), 10);
    assert_eq!(to.get_offset(OffsetAt::Timestamp(at(2001))).await.unwrap(), 3);
    to.delete_records(4, TIMEOUT_MS).await.unwrap();
    assert_eq!(to.get_offset(OffsetAt::Earliest).await.unwrap(), 4);
    let got: Vec<i64> = take(&to, 4, 6).await.into_iter().map(|one| one.offset).collect();
    assert_eq!(got, (4..10).collect::<Vec<i64>>());
    for outside in [0, 11] {
        let refused = to.fetch_records(outside, BYTES, TIMEOUT_MS).await.unwrap_err();
        let Error::ServerError { protocol_error, .. } = refused else { panic!("{refused}") };
        assert_eq!(protocol_error, ProtocolError::OffsetOutOfRange);
    }
}

async fn topics(client: &Client, topic: &str) {
    create(client, topic, 3).await;
    let controller = client.controller_client().unwrap();
    let refused = controller.create_topic(topic, 1, 1, TIMEOUT_MS).await.unwrap_err();
    let Error::ServerError { protocol_error, .. } = refused else { panic!("{refused}") };
    assert_eq!(protocol_error, ProtocolError::TopicAlreadyExists);
    let listed = client.list_topics().await.unwrap();
    let found = listed.into_iter().find(|one| one.name == topic).unwrap();
    assert_eq!(found.partitions, BTreeSet::from([0, 1, 2]));
    controller.delete_topic(topic, TIMEOUT_MS).await.unwrap();
    let listed = client.list_topics().await.unwrap();
    assert!(listed.iter().all(|one| one.name != topic));
}
