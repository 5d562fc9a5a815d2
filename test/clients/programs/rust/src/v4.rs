//! MQTT 3.1.1 by `rumqttc`.

use crate::{numbered, Place, PATIENCE};
use rumqttc::{
    AsyncClient, ConnectReturnCode, ConnectionError, Event, EventLoop, LastWill, MqttOptions,
    Outgoing, Packet, Publish, QoS, SubscribeReasonCode,
};
use std::collections::{BTreeSet, VecDeque};
use tokio::time::timeout;

struct Client {
    handle: AsyncClient,
    events: EventLoop,
    inbox: VecDeque<Publish>,
    session_present: bool,
}

impl Client {
    async fn open(options: MqttOptions) -> Result<Self, ConnectionError> {
        let (handle, events) = AsyncClient::new(options, 64);
        let inbox = VecDeque::new();
        let mut client = Client {
            handle,
            events,
            inbox,
            session_present: false,
        };
        client.session_present = client
            .until(|event| match event {
                Event::Incoming(Packet::ConnAck(answer)) => Some(answer.session_present),
                _ => None,
            })
            .await?;
        Ok(client)
    }

    /// Polls until an event is the wanted one; messages that come before it are kept.
    async fn until<T>(
        &mut self,
        wanted: impl Fn(&Event) -> Option<T>,
    ) -> Result<T, ConnectionError> {
        let search = async {
            loop {
                let event = self.events.poll().await?;
                if let Some(found) = wanted(&event) {
                    return Ok(found);
                }
                if let Event::Incoming(Packet::Publish(message)) = event {
                    self.inbox.push_back(message);
                }
            }
        };
        timeout(PATIENCE, search).await.expect("it comes in time")
    }

    async fn take(&mut self, count: usize) -> Vec<Publish> {
        let mut messages = Vec::new();
        while messages.len() < count {
            messages.push(match self.inbox.pop_front() {
                Some(message) => message,
                None => self
                    .until(|event| match event {
                        Event::Incoming(Packet::Publish(message)) => Some(message.clone()),
                        _ => None,
                    })
                    .await
                    .unwrap(),
            });
        }
        messages
    }

    async fn subscribe(&mut self, filter: &str, qos: QoS) -> SubscribeReasonCode {
        self.handle.subscribe(filter, qos).await.unwrap();
        self.until(|event| match event {
            Event::Incoming(Packet::SubAck(answer)) => Some(answer.return_codes[0]),
            _ => None,
        })
        .await
        .unwrap()
    }

    async fn publish(&mut self, topic: &str, qos: QoS, retain: bool, body: &str) {
        self.handle.publish(topic, qos, retain, body).await.unwrap();
        self.until(|event| match (qos, event) {
            (QoS::AtMostOnce, Event::Outgoing(Outgoing::Publish(_))) => Some(()),
            (QoS::AtLeastOnce, Event::Incoming(Packet::PubAck(_))) => Some(()),
            (QoS::ExactlyOnce, Event::Incoming(Packet::PubComp(_))) => Some(()),
            _ => None,
        })
        .await
        .unwrap();
    }

    async fn leave(mut self) {
        self.handle.disconnect().await.unwrap();
        self.until(|event| matches!(event, Event::Outgoing(Outgoing::Disconnect)).then_some(()))
            .await
            .unwrap();
    }
}

fn options(place: &Place, name: &str) -> MqttOptions {
    MqttOptions::new(format!("rust4-{name}"), place.host.clone(), place.port)
}

async fn client(place: &Place, name: &str) -> Client {
    Client::open(options(place, name)).await.unwrap()
}

fn bodies(messages: &[Publish], qos: QoS) -> Vec<String> {
    let of_qos = messages.iter().filter(|message| message.qos == qos);
    of_qos
        .map(|message| String::from_utf8(message.payload.to_vec()).unwrap())
        .collect()
}

const LEVELS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

pub async fn qos(place: Place) {
    let mut reader = client(&place, "reader").await;
    let mut writer = client(&place, "writer").await;
    for qos in LEVELS {
        let topic = format!("rust4/qos/{}", qos as u8);
        assert_eq!(
            reader.subscribe(&topic, qos).await,
            SubscribeReasonCode::Success(qos)
        );
        let wanted = numbered("m", 20);
        for body in &wanted {
            writer.publish(&topic, qos, false, body).await;
        }
        assert_eq!(bodies(&reader.take(20).await, qos), wanted);
    }
}

pub async fn retained(place: Place) {
    let mut writer = client(&place, "writer").await;
    writer
        .publish("rust4/retained/a", QoS::AtLeastOnce, true, "kept")
        .await;
    writer
        .publish("rust4/retained/b", QoS::AtLeastOnce, true, "kept too")
        .await;
    let mut reader = client(&place, "reader").await;
    reader.subscribe("rust4/retained/a", QoS::AtLeastOnce).await;
    let first = &reader.take(1).await[0];
    assert_eq!((&first.payload[..], first.retain), (&b"kept"[..], true));
    writer
        .publish("rust4/retained/a", QoS::AtLeastOnce, true, "")
        .await;
    let mut later = client(&place, "later").await;
    later.subscribe("rust4/retained/+", QoS::AtLeastOnce).await;
    assert_eq!(&later.take(1).await[0].payload[..], b"kept too");
}

pub async fn will(place: Place) {
    let mut witness = client(&place, "witness").await;
    witness.subscribe("rust4/will", QoS::ExactlyOnce).await;
    let mut mortal = options(&place, "mortal");
    mortal.set_last_will(LastWill::new("rust4/will", "gone", QoS::ExactlyOnce, false));
    // Dropping the event loop closes the socket without a DISCONNECT.
    drop(Client::open(mortal).await.unwrap());
    assert_eq!(bodies(&witness.take(1).await, QoS::ExactlyOnce), ["gone"]);
}

pub async fn session(place: Place) {
    let mut durable = options(&place, "session");
    durable.set_clean_session(false);
    let mut reader = Client::open(durable.clone()).await.unwrap();
    assert!(!reader.session_present);
    reader.subscribe("rust4/session", QoS::ExactlyOnce).await;
    reader.leave().await;
    let mut writer = client(&place, "writer").await;
    let (ones, twos) = (numbered("one", 20), numbered("two", 20));
    for (one, two) in ones.iter().zip(&twos) {
        writer
            .publish("rust4/session", QoS::AtLeastOnce, false, one)
            .await;
        writer
            .publish("rust4/session", QoS::ExactlyOnce, false, two)
            .await;
    }
    let mut reader = Client::open(durable).await.unwrap();
    assert!(reader.session_present);
    let messages = reader.take(40).await;
    assert_eq!(bodies(&messages, QoS::AtLeastOnce), ones);
    assert_eq!(bodies(&messages, QoS::ExactlyOnce), twos);
}

pub async fn shared(place: Place) {
    let mut members = [
        client(&place, "first").await,
        client(&place, "second").await,
    ];
    for member in &mut members {
        member
            .subscribe("$share/rust4/rust4/shared", QoS::AtLeastOnce)
            .await;
    }
    let mut writer = client(&place, "writer").await;
    for body in numbered("m", 60) {
        writer
            .publish("rust4/shared", QoS::AtLeastOnce, false, &body)
            .await;
    }
    let mut got = BTreeSet::new();
    let mut counts = [0, 0];
    let [first, second] = &mut members;
    while counts[0] + counts[1] < 60 {
        let (member, message) = tokio::select! {
            message = first.take(1) => (0, message),
            message = second.take(1) => (1, message),
        };
        counts[member] += 1;
        got.insert(message[0].payload.clone());
    }
    assert_eq!(got.len(), 60, "each message once, by members {counts:?}");
    assert!(counts[0] > 0 && counts[1] > 0, "members {counts:?}");
}

pub async fn refused(place: Place) {
    let mut stranger = options(&place, "stranger");
    stranger.set_credentials("admin", "wrong");
    match Client::open(stranger).await.err() {
        Some(ConnectionError::ConnectionRefused(ConnectReturnCode::BadUserNamePassword)) => {}
        other => panic!("a wrong password ended with {other:?}"),
    }
    let mut known = client(&place, "known").await;
    let code = known.subscribe("forbidden/area", QoS::AtLeastOnce).await;
    assert_eq!(code, SubscribeReasonCode::Failure);
    let code = known.subscribe("rust4/open", QoS::AtLeastOnce).await;
    assert_eq!(code, SubscribeReasonCode::Success(QoS::AtLeastOnce));
}
