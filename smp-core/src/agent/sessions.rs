//! What servers say, and requests to them.

use super::actor::Work;
use super::effect::Doing;
use super::failure::{is_temporary, is_temporary_failure, to_error};
use super::links::{Due, LinkId, Lost, Step, SubscriptionState};
use super::routing::Proxied;
use super::{Agent, AgentOutput, Event, Pending};
use crate::client::{Answer, ClientEvent, CommandId, ReceivedMessage, Request, RequestError};
use crate::transport::ServiceIdentity;
use crate::wire::EntityId;
use crate::wire::agent::AgentError;
use crate::wire::error::{BrokerErrorType, ErrorType};

impl Agent {
    pub(super) fn request(&mut self, link: LinkId, request: Request, doing: Doing) {
        self.request_for(link, request, doing, None);
    }

    pub(super) fn request_for(
        &mut self,
        link: LinkId,
        request: Request,
        doing: Doing,
        proxied: Option<Box<Proxied>>,
    ) {
        let id = CommandId(self.number());
        let is_patient = doing.is_patient();
        let counted = self.counted(link, &request, &doing, proxied.as_deref());
        self.requests.insert(id, Pending { link, doing, proxied, counted });
        match self.links.request(link, id, request, is_patient) {
            // Not now: whoever asks has not done everything else that he has to.
            Step::Fail(reason) => self.failing.push_back((id, RequestError::Unreachable(reason))),
            step => self.link_step(link, step),
        }
    }

    /// Answers what failed at once.
    pub(super) fn fail_requests(&mut self) {
        while let Some((id, error)) = self.failing.pop_front() {
            self.answer_pending(id, Err(error));
        }
    }

    pub(super) fn wake(&mut self, link: LinkId) {
        let step = self.links.wake(link);
        self.link_step(link, step);
    }

    pub(super) fn link_step(&mut self, id: LinkId, step: Step) {
        match step {
            Step::Nothing | Step::Fail(_) => {}
            Step::Connect => self.connect(id),
            Step::Send(requests) => {
                self.count_attempts(&requests);
                let requests = requests.into_iter();
                let outputs =
                    requests.map(|(command, request)| AgentOutput::Request(id, command, Box::new(request)));
                self.outputs.extend(outputs);
            }
        }
    }

    pub(super) fn link_due(&mut self, id: LinkId, due: &Due) {
        match due {
            Due::Wake => self.wake(id),
            Due::Subscribe => self.subscribe(id),
            Due::Close => {
                self.relays.forget(id);
                self.outputs.push_back(AgentOutput::Disconnect(id));
            }
            Due::Nothing => {}
        }
    }

    /// Makes a session, as this service.
    pub(super) fn connect_as(&mut self, id: LinkId, service: Option<ServiceIdentity>) {
        let Some(link) = self.links.get(id) else { return };
        let (server, isolation) = (link.server().clone(), self.links.isolation(link));
        self.outputs.push_back(AgentOutput::Connect(id, server, isolation, service));
    }

    pub(super) fn link_ready(&mut self, id: LinkId, service: Option<EntityId>) {
        let held = self.links.ready(id);
        // What is made while SUBS is under way is not among what it counts.
        self.begin_service(id, service);
        self.link_step(id, Step::Send(held));
        self.subscribe(id);
    }

    /// SUBS in a new session of a service, then SUB for the next queues of a link that are not subscribed; requests made
    /// together share blocks.
    pub(super) fn subscribe(&mut self, id: LinkId) {
        self.subscribe_service(id);
        for (queue, key, sub) in self.links.take_batch(id) {
            self.request(id, Request::subscribe(queue.clone(), key), Doing::Subscribe(id, queue, sub));
        }
    }

    pub(super) fn link_lost(&mut self, id: LinkId, reason: BrokerErrorType) {
        let Some(server) = self.links.get(id).map(|link| link.server().clone()) else { return };
        self.note_refusal(id, &reason);
        let Lost { requests, down, is_news, service } = self.links.lost(id, &reason);
        self.relays.forget(id);
        for command in requests {
            self.answer_pending(command, Err(RequestError::Unreachable(reason.clone())));
        }
        if is_news && !is_temporary_failure(&reason) {
            let error = AgentError::Broker { server: Box::new(server.clone()), error: reason };
            self.outputs.push_back(AgentOutput::Event(Event::Error(None, error)));
        }
        if !down.is_empty() {
            let event = Event::Down(server.clone(), down.into_iter().collect());
            self.outputs.push_back(AgentOutput::Event(event));
        }
        if let Some((user, queues)) = service {
            self.outputs.push_back(AgentOutput::Event(Event::ServiceDown { user, server, queues }));
        }
    }

    pub(super) fn answered(&mut self, id: CommandId, answer: Result<Answer, RequestError>) {
        let Some(pending) = self.requests.get_mut(&id) else { return };
        let link = pending.link;
        let session = self.links.answered(link, id);
        if let (Doing::Create(_, keys), Some(session)) = (&mut pending.doing, session) {
            keys.session = session;
            keys.is_associated = matches!(&answer, Ok(Answer::Created(queue)) if self.links.is_of_service(link, queue.service_id.as_ref()));
        }
        if let (Doing::Acknowledge(connection, queue), Err(error)) = (&pending.doing, &answer)
            && is_temporary(error)
        {
            self.links.not_acknowledged(link, *connection, *queue);
        }
        if let Err(RequestError::Server(ErrorType::Service)) = &answer {
            self.service_refused(link);
        }
        self.answer_pending(id, answer);
    }

    pub(super) fn answer_pending(&mut self, id: CommandId, answer: Result<Answer, RequestError>) {
        let Some(Pending { link, doing, proxied, counted }) = self.requests.remove(&id) else { return };
        if let Some(counted) = counted {
            self.count_answer(&counted, &doing, &answer);
        }
        match proxied {
            Some(proxied) => self.forwarded(link, proxied, doing, answer),
            None => self.pass_answer(doing, answer),
        }
    }

    pub(super) fn pass_answer(&mut self, doing: Doing, answer: Result<Answer, RequestError>) {
        if let Doing::Fetch(_, queue) = &doing {
            self.heed(&queue.server, &queue.recipient_id, answer.as_ref().err());
        }
        match (doing.connection(), doing) {
            (_, Doing::Subscribe(link, queue, sub)) => self.subscribed(link, &queue, sub, answer),
            (_, Doing::SubscribeService(link)) => self.service_subscribed(link, answer),
            (_, Doing::QueueInfo(call, server)) => self.queue_told(call, *server, answer),
            (_, Doing::Resolve(resolving)) => self.resolved(*resolving, answer),
            (_, Doing::Off(call, server, left)) => self.suspended(call, *server, left, answer),
            (_, Doing::Link(call, server, reply)) => {
                let reply = answer.map(|_| *reply).map_err(|error| to_error(server, error));
                self.reply(call, reply);
            }
            (_, Doing::Relay(link, destination, _)) => self.relay_made(link, &destination, answer),
            (Some(connection), doing) => {
                self.work(connection, Work::Answer(Box::new(doing), Box::new(answer)))
            }
            (None, _) => {}
        }
    }

    fn subscribed(&mut self, id: LinkId, queue: &EntityId, sub: u32, answer: Result<Answer, RequestError>) {
        if self.links.get(id).is_none_or(|link| link.queues().get(queue).is_none()) {
            self.links.contest(queue);
        }
        let Some(link) = self.links.get(id) else { return };
        let is_in_flight = link.queues().awaits(queue, sub);
        match answer {
            Ok(Answer::Subscribed { message, service }) => {
                let is_associated = self.links.is_of_service(id, service.as_ref());
                // When the agent stopped receiving meanwhile, the queue is subscribed anew when it goes on.
                self.heed_at(id, queue, None);
                if is_in_flight {
                    self.links.with_queues(id, |queues| {
                        queues.subscribed(queue);
                        queues.associate(queue, is_associated);
                    });
                }
                if let Some(message) = message {
                    self.receive(id, queue, message);
                }
            }
            // The queue waits for the next session already.
            _ if !is_in_flight => {}
            Err(error) if is_temporary(&error) => {
                self.links.later(id, queue);
                self.tell_down(id, queue);
            }
            Ok(_) => self.give_up(id, queue, RequestError::Unexpected),
            Err(error) => self.give_up(id, queue, error),
        }
        self.batch_over(id);
    }

    /// The server does not let us receive from a queue.
    fn give_up(&mut self, id: LinkId, queue: &EntityId, error: RequestError) {
        let Some(link) = self.links.get(id) else { return };
        let server = link.server().clone();
        let connection = link.queues().get(queue).map(|subscription| subscription.connection);
        self.links.with_queues(id, |queues| {
            queues.give_up(queue, SubscriptionState::Refused);
            queues.associate(queue, false);
        });
        self.heed(&server, queue, Some(&error));
        self.tell_down(id, queue);
        let event = Event::Error(connection, to_error(server, error));
        self.outputs.push_back(AgentOutput::Event(event));
    }

    /// When all of a batch were answered, the app is told which connections are up, and the next batch begins.
    pub(super) fn batch_over(&mut self, id: LinkId) {
        let Some(server) = self.links.get(id).map(|link| link.server().clone()) else { return };
        let up = self.links.with_queues(id, |queues| queues.take_news()).unwrap_or_default();
        if !up.is_empty() {
            self.outputs.push_back(AgentOutput::Event(Event::Up(server, up.into_iter().collect())));
        }
        self.keep_associations(id);
        self.subscribe(id);
    }

    /// Tells the app that a queue is not subscribed any more, if it holds it for that.
    pub(super) fn tell_down(&mut self, id: LinkId, queue: &EntityId) {
        if self.links.with_queues(id, |queues| queues.take_up(queue)) != Some(true) {
            return;
        }
        let Some(link) = self.links.get(id) else { return };
        if let Some(subscription) = link.queues().get(queue) {
            let event = Event::Down(link.server().clone(), vec![subscription.connection]);
            self.outputs.push_back(AgentOutput::Event(event));
        }
    }

    pub(super) fn told(&mut self, id: LinkId, event: ClientEvent) {
        match event {
            ClientEvent::Message(queue, message) | ClientEvent::LateMessage(_, queue, message) => {
                self.receive(id, &queue, message);
            }
            ClientEvent::LateSubscribed(_, queue) => {
                let state = self.links.get(id).and_then(|link| link.queues().state(&queue));
                if let Some(SubscriptionState::Waiting(_)) = state {
                    self.links.with_queues(id, |queues| queues.subscribed(&queue));
                    self.count_at(id, |of| &mut of.subscribed);
                    self.batch_over(id);
                }
            }
            // What ended came before a SUB that is on its way: its answer follows.
            ClientEvent::End(queue) if !self.is_subscribed(id, &queue) => {}
            ClientEvent::End(queue) if self.is_contested(id, &queue) => {
                self.links.later(id, &queue);
                self.tell_down(id, &queue);
            }
            ClientEvent::End(queue) | ClientEvent::Deleted(queue) => {
                self.links.with_queues(id, |queues| {
                    queues.give_up(&queue, SubscriptionState::Ended);
                    queues.associate(&queue, false);
                });
                self.tell_down(id, &queue);
                self.batch_over(id);
            }
            ClientEvent::ServiceEnd(service, queues) => self.service_ended(id, &service, queues),
            ClientEvent::AllDelivered => self.service_delivered(id),
            ClientEvent::Error(queue, error) => self.queue_failed(id, &queue, error),
            _ => {}
        }
    }

    /// A server tells that a queue was blocked, whose subscription stays; or of a service, that something is wrong with it.
    fn queue_failed(&mut self, id: LinkId, queue: &EntityId, error: ErrorType) {
        let Some(link) = self.links.get(id) else { return };
        let Some(subscription) = link.queues().get(queue) else { return };
        let (server, connection) = (link.server().clone(), subscription.connection);
        if !matches!(error, ErrorType::Blocked(_)) {
            return self.error_in_service(id, queue);
        }
        let error = RequestError::Server(error);
        self.heed(&server, queue, Some(&error));
        let event = Event::Error(Some(connection), to_error(server, error));
        self.outputs.push_back(AgentOutput::Event(event));
    }

    /// Whether a session of our own ended a subscription with a SUB that came late: one of a user whose the queue was, or an earlier
    /// one of the same link.
    fn is_contested(&mut self, id: LinkId, queue: &EntityId) -> bool {
        let mut doings = self.requests.values().map(|pending| &pending.doing);
        let is_asked = doings
            .any(|doing| matches!(doing, Doing::Subscribe(of, asked, _) if *of != id && asked == queue));
        let is_contested = self.links.with_queues(id, |queues| queues.take_contested(queue)) == Some(true);
        is_contested || is_asked || self.links.take_overtaken(id, queue)
    }

    fn is_subscribed(&self, id: LinkId, queue: &EntityId) -> bool {
        let state = self.links.get(id).and_then(|link| link.queues().state(queue));
        state == Some(SubscriptionState::Subscribed)
    }

    /// A message of a queue. While nothing is to be received it stays at its server.
    fn receive(&mut self, id: LinkId, queue: &EntityId, message: ReceivedMessage) {
        let subscription = self.links.get(id).and_then(|link| link.queues().get(queue));
        if let Some(subscription) = subscription.filter(|_| self.links.is_receiving) {
            let (connection, number) = (subscription.connection, subscription.number);
            self.count_at(id, |of| &mut of.received);
            self.work(connection, Work::Message(number, message));
        }
    }
}
