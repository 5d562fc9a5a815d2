//! MQTT 5 by `rumqttc::v5`.

use crate::{numbered, Place, PATIENCE};
use rumqttc::v5::mqttbytes::v5::{
    ConnectReturnCode, LastWill, LastWillProperties, Packet, PubAckReason, Publish,
    PublishProperties, SubscribeProperties, SubscribeReasonCode,
};
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::{AsyncClient, ConnectionError, Event, EventLoop, MqttOptions};
use rumqttc::Outgoing;
use std::collections::VecDeque;
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

    async fn publish(&mut self, topic: &str, qos: QoS, body: &str) {
        self.send(topic, qos, body, PublishProperties::default())
            .await;
    }

    /// Sends and returns the reason of a PUBACK.
    async fn send(
        &mut self,
        topic: &str,
        qos: QoS,
        body: &str,
        more: PublishProperties,
    ) -> PubAckReason {
        let body = body.to_owned();
        self.handle
            .publish_with_properties(topic, qos, false, body, more)
            .await
            .unwrap();
        self.until(|event| match (qos, event) {
            (QoS::AtMostOnce, Event::Outgoing(Outgoing::Publish(_))) => Some(PubAckReason::Success),
            (QoS::AtLeastOnce, Event::Incoming(Packet::PubAck(answer))) => Some(answer.reason),
            (QoS::ExactlyOnce, Event::Incoming(Packet::PubComp(_))) => Some(PubAckReason::Success),
            _ => None,
        })
        .await
        .unwrap()
    }

    async fn leave(mut self) {
        self.handle.disconnect().await.unwrap();
        self.until(|event| matches!(event, Event::Outgoing(Outgoing::Disconnect)).then_some(()))
            .await
            .unwrap();
    }
}

fn options(place: &Place, name: &str) -> MqttOptions {
    MqttOptions::new(format!("rust5-{name}"), place.host.clone(), place.port)
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
        let topic = format!("rust5/qos/{}", qos as u8);
        assert_eq!(
            reader.subscribe(&topic, qos).await,
            SubscribeReasonCode::Success(qos)
        );
        let wanted = numbered("m", 20);
        for body in &wanted {
            writer.publish(&topic, qos, body).await;
        }
        assert_eq!(bodies(&reader.take(20).await, qos), wanted);
    }
}

pub async fn will(place: Place) {
    let mut witness = client(&place, "witness").await;
    witness.subscribe("rust5/will", QoS::AtLeastOnce).await;
    let pairs = vec![("why".to_owned(), "broken".to_owned())];
    let more = LastWillProperties {
        delay_interval: None,
        payload_format_indicator: Some(1),
        message_expiry_interval: Some(60),
        content_type: Some("text/plain".to_owned()),
        response_topic: None,
        correlation_data: None,
        user_properties: pairs.clone(),
    };
    let mut mortal = options(&place, "mortal");
    mortal.set_last_will(LastWill::new(
        "rust5/will",
        "gone",
        QoS::AtLeastOnce,
        false,
        Some(more),
    ));
    // Dropping the event loop closes the socket without a DISCONNECT.
    drop(Client::open(mortal).await.unwrap());
    let messages = witness.take(1).await;
    assert_eq!(bodies(&messages, QoS::AtLeastOnce), ["gone"]);
    let got = messages[0].properties.clone().unwrap();
    assert_eq!(got.user_properties, pairs);
    assert_eq!(got.content_type.as_deref(), Some("text/plain"));
}

pub async fn session(place: Place) {
    let mut durable = options(&place, "session");
    durable
        .set_clean_start(false)
        .set_session_expiry_interval(Some(300));
    let mut reader = Client::open(durable.clone()).await.unwrap();
    assert!(!reader.session_present);
    reader.subscribe("rust5/session", QoS::ExactlyOnce).await;
    reader.leave().await;
    let mut writer = client(&place, "writer").await;
    let (ones, twos) = (numbered("one", 20), numbered("two", 20));
    for (one, two) in ones.iter().zip(&twos) {
        writer.publish("rust5/session", QoS::AtLeastOnce, one).await;
        writer.publish("rust5/session", QoS::ExactlyOnce, two).await;
    }
    let mut reader = Client::open(durable).await.unwrap();
    assert!(reader.session_present);
    let messages = reader.take(40).await;
    assert_eq!(bodies(&messages, QoS::AtLeastOnce), ones);
    assert_eq!(bodies(&messages, QoS::ExactlyOnce), twos);
}

pub async fn properties(place: Place) {
    let mut reader = client(&place, "reader").await;
    let mut writer = client(&place, "writer").await;
    let identified = SubscribeProperties {
        id: Some(268_435_455),
        user_properties: vec![],
    };
    let filter = "rust5/properties/#";
    reader
        .handle
        .subscribe_with_properties(filter, QoS::AtLeastOnce, identified)
        .await
        .unwrap();
    reader
        .until(|event| matches!(event, Event::Incoming(Packet::SubAck(_))).then_some(()))
        .await
        .unwrap();
    let pairs = [("b", "1"), ("a", "2"), ("b", "3")];
    let sent = PublishProperties {
        payload_format_indicator: Some(1),
        message_expiry_interval: Some(100),
        topic_alias: Some(2),
        response_topic: Some("rust5/answers".to_owned()),
        correlation_data: Some(vec![0, 255].into()),
        user_properties: pairs
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .to_vec(),
        subscription_identifiers: vec![],
        content_type: Some("text/plain".to_owned()),
    };
    writer
        .send(
            "rust5/properties/x",
            QoS::AtLeastOnce,
            "first",
            sent.clone(),
        )
        .await;
    let alias = PublishProperties {
        topic_alias: Some(2),
        ..Default::default()
    };
    writer.send("", QoS::AtLeastOnce, "by alias", alias).await;
    let messages = reader.take(2).await;
    let got = messages[0].properties.clone().unwrap();
    assert_eq!(got.user_properties, sent.user_properties);
    assert_eq!(got.response_topic, sent.response_topic);
    assert_eq!(got.correlation_data, sent.correlation_data);
    assert_eq!(got.content_type, sent.content_type);
    assert_eq!(got.payload_format_indicator, Some(1));
    assert!((1..=100).contains(&got.message_expiry_interval.unwrap()));
    assert_eq!(got.subscription_identifiers, [268_435_455]);
    assert_eq!(&messages[1].topic[..], b"rust5/properties/x");
}

/// Acknowledgements are held back: no more than two messages may be on their way.
pub async fn receive_maximum(place: Place) {
    let mut careful = options(&place, "careful");
    careful.set_receive_maximum(Some(2)).set_manual_acks(true);
    let mut reader = Client::open(careful).await.unwrap();
    reader.subscribe("rust5/slow", QoS::AtLeastOnce).await;
    let mut writer = client(&place, "writer").await;
    let wanted = numbered("m", 10);
    for body in &wanted {
        writer.publish("rust5/slow", QoS::AtLeastOnce, body).await;
    }
    // The answer comes after whatever the server would have sent before it.
    reader.subscribe("rust5/barrier", QoS::AtLeastOnce).await;
    assert!(
        reader.inbox.len() <= 2,
        "{} messages came",
        reader.inbox.len()
    );
    let mut got = Vec::new();
    for _ in 0..10 {
        let messages = reader.take(1).await;
        got.extend(bodies(&messages, QoS::AtLeastOnce));
        reader.handle.ack(&messages[0]).await.unwrap();
    }
    assert_eq!(got, wanted);
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
    assert_eq!(code, SubscribeReasonCode::NotAuthorized);
    let more = PublishProperties::default();
    let reason = known
        .send("forbidden/area", QoS::AtLeastOnce, "x", more)
        .await;
    assert_eq!(reason, PubAckReason::NotAuthorized);
}
