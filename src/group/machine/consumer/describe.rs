//! ConsumerGroupDescribe (`ConsumerGroup.asDescribedGroup`).

use super::reconcile::without_epochs;
use super::state::{ConsumerGroup, Member};
use crate::coordinator::Ticket;
use crate::group::machine::{Env, Groups, Out};
use crate::group::request::{Assignment, Client, DescribedConsumer, DescribedConsumerMember, Reply};
use crate::metadata::Image;
use crate::model::{GroupId, MemberId};

impl Groups {
    pub(in crate::group::machine) fn describe_consumer(
        &mut self,
        env: &Env,
        ticket: Ticket,
        group: GroupId,
        out: &mut Out,
    ) {
        let answer = self.consumer_group(&group).map(|group| group.described(env));
        out.reply(ticket, Reply::DescribeConsumer(answer));
    }
}

impl ConsumerGroup {
    fn described(&self, env: &Env) -> DescribedConsumer {
        let known = &env.settings.groups.consumer_assignors;
        let assignor = self.preferred_assignor(None, known).or_else(|| known.first().map(String::as_str));
        DescribedConsumer {
            state: self.state(),
            group_epoch: self.epoch,
            assignment_epoch: self.assigned.epoch,
            assignor: assignor.unwrap_or_default().to_owned(),
            members: self.members.iter().map(|(id, member)| self.described_member(id, member, &env.image)).collect(),
        }
    }

    fn described_member(&self, id: &MemberId, member: &Member, image: &Image) -> DescribedConsumerMember {
        let about = &member.about;
        // It answers for what it is to give up until it has.
        let mut assignment = without_epochs(&member.current.assigned);
        for (topic, partitions) in &member.current.pending_revocation {
            let all = assignment.entry(*topic).or_default();
            all.extend(partitions.keys());
            all.sort_unstable();
        }
        DescribedConsumerMember {
            member: id.clone(),
            instance: about.instance.clone(),
            rack: about.rack.clone(),
            epoch: member.current.epoch,
            client: Client { id: about.client_id.clone(), host: about.client_host.clone() },
            topics: about.topics.clone(),
            regex: about.regex.clone(),
            assignment: still_there(assignment, image),
            target: still_there(self.target.get(id).cloned().unwrap_or_default(), image),
            classic: member.is_classic(),
        }
    }
}

fn still_there(mut assignment: Assignment, image: &Image) -> Assignment {
    assignment.retain(|topic, _| image.topic_by_id(*topic).is_some());
    assignment
}
