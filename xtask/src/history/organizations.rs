//! Organizations and their members at Clerk.

use std::collections::BTreeMap;

use super::clerk::{Clerk, SKEW};
use super::{Change, HistoryEvent, Membership, Organization, Tie};
use crate::organization_payload::{MembershipPayload, OrganizationPayload};

/// Who is a member of what, and what was told of it.
#[derive(Default)]
pub(super) struct Organizations {
    /// Those that are there, by number.
    present: BTreeMap<usize, Founded>,
    /// Numbers of the organizations that have the slugs, by their numbers.
    slugs: BTreeMap<usize, usize>,
    /// How often an organization of each number was deleted.
    deletions: BTreeMap<usize, usize>,
    /// By the numbers of organization and user.
    members: BTreeMap<(usize, usize), Member>,
    /// How many memberships there have been.
    joined: usize,
    /// Index of the newest event that makes or changes a membership, by the ids of organization and user. Who comes back
    /// is newer than that.
    newest_of: BTreeMap<(String, String), usize>,
}

struct Founded {
    id: String,
    slug: usize,
    created_at: i64,
    /// Index of its newest event.
    newest: Option<usize>,
}

#[derive(Clone)]
struct Member {
    /// Counted from 0.
    number: usize,
    /// As it was told last.
    told: Membership,
    created_at: i64,
}

impl Clerk {
    /// The organization takes the slug if it is free, and keeps its own otherwise. One that is not there yet is founded.
    pub(super) fn organize(&mut self, number: usize, slug: usize, tie: Tie) {
        let slugs = &self.organizations.slugs;
        let own = self.organizations.present.get(&number);
        let own = own.map(|organization| organization.slug);
        let slug = match own {
            _ if !slugs.contains_key(&slug) => slug,
            Some(own) => own,
            None => {
                let is_free = |slug: &usize| !slugs.contains_key(slug);
                (0..=slugs.len()).find(is_free).unwrap_or_default()
            }
        };
        self.organizations.slugs.retain(|_, owner| *owner != number);
        self.organizations.slugs.insert(slug, number);
        self.tell_organization(number, slug, tie);
    }

    fn tell_organization(&mut self, number: usize, slug: usize, tie: Tie) {
        self.pass_time(tie);
        let (clock, event) = (self.clock, self.events.len());
        let deletions = self.organizations.deletions.get(&number);
        let present = &mut self.organizations.present;
        let organization = present.entry(number).or_insert_with(|| Founded {
            id: match deletions {
                None => format!("org_{number}"),
                Some(deletions) => format!("org_{number}_{deletions}"),
            },
            slug,
            created_at: clock,
            newest: None,
        });
        organization.slug = slug;
        let newest = organization.newest.replace(event);
        let (id, created_at) = (organization.id.clone(), organization.created_at);
        let (timestamp, svix_id) = self.envelope(newest, tie);
        let told = Organization {
            name: format!("Acme {event}"),
            slug: format!("slug-{slug}"),
            created_at,
            updated_at: clock,
        };
        let payload = OrganizationPayload {
            id: &id,
            name: &told.name,
            slug: &told.slug,
            created_at,
            updated_at: clock,
            timestamp,
        };
        let what = match newest {
            None => "organization.created",
            Some(_) => "organization.updated",
        };
        self.events.push(HistoryEvent {
            step: self.step,
            svix_id,
            body: payload.event(what),
            family: "organization",
            object_id: id,
            change: Change::Organization(told),
            updated_at: clock,
            timestamp,
        });
    }

    /// The organization is deleted, and with it all its memberships.
    pub(super) fn dissolve(&mut self, number: usize, tie: Tie) {
        let Some(organization) = self.organizations.present.remove(&number) else {
            return;
        };
        self.pass_time(tie);
        self.organizations.slugs.remove(&organization.slug);
        *self.organizations.deletions.entry(number).or_default() += 1;
        let (mut timestamp, svix_id) = self.envelope(organization.newest, tie);
        if self.events.len().is_multiple_of(3) {
            timestamp -= SKEW;
        }
        let payload = OrganizationPayload {
            id: &organization.id,
            name: "",
            slug: &format!("slug-{}", organization.slug),
            created_at: 0,
            updated_at: 0,
            timestamp,
        };
        self.events.push(HistoryEvent {
            step: self.step,
            svix_id,
            body: payload.deleted(),
            family: "organization",
            object_id: organization.id,
            change: Change::Delete,
            updated_at: timestamp,
            timestamp,
        });
        self.end_memberships(|(of, _)| *of == number, tie);
    }

    /// The user joins, or gets another role. Who is not there yet signs up, or is founded.
    pub(super) fn join(&mut self, organization: usize, user: usize, is_admin: bool, tie: Tie) {
        if !self.organizations.present.contains_key(&organization) {
            self.organize(organization, organization, tie);
        }
        if self.user_id(user).is_none() {
            self.edit(user, tie);
        }
        self.pass_time(tie);
        let clock = self.clock;
        let founded = self.organizations.present.get(&organization);
        let (Some(founded), Some(user_id)) = (founded, self.user_id(user)) else {
            return;
        };
        let pair = (founded.id.clone(), user_id.to_owned());
        let before = self.organizations.members.get(&(organization, user));
        let number = before.map_or(self.organizations.joined, |member| member.number);
        let (role, event) = (
            if is_admin { "org:admin" } else { "org:member" },
            self.events.len(),
        );
        let member = Member {
            number,
            created_at: before.map_or(clock, |member| member.created_at),
            told: Membership {
                id: format!("orgmem_{number}"),
                organization_id: pair.0.clone(),
                user_id: pair.1.clone(),
                role: role.into(),
                desk: format!("desk {event}"),
                updated_at: clock,
            },
        };
        let what = match before {
            None => "organizationMembership.created",
            Some(_) => "organizationMembership.updated",
        };
        let newest = self.organizations.newest_of.insert(pair, event);
        let (timestamp, svix_id) = self.envelope(newest, tie);
        let told = &member.told;
        let change = Change::Membership(told.clone());
        self.push_membership(&member, what, clock, timestamp, svix_id, change);
        let organizations = &mut self.organizations;
        organizations.joined = organizations.joined.max(number + 1);
        organizations.members.insert((organization, user), member);
    }

    /// The user leaves.
    pub(super) fn leave(&mut self, organization: usize, user: usize, tie: Tie) {
        let left = self.organizations.members.remove(&(organization, user));
        if let Some(member) = left {
            self.tell_end(&member, tie);
        }
    }

    /// A user is deleted.
    pub(super) fn end_memberships_of(&mut self, user: usize, tie: Tie) {
        self.end_memberships(|(_, of)| *of == user, tie);
    }

    /// With an organization or a user go the memberships. Clerk tells of some of them, not of all: here of every other one
    /// that there ever was.
    fn end_memberships(&mut self, ends: impl Fn(&(usize, usize)) -> bool, tie: Tie) {
        let members = &mut self.organizations.members;
        let ended: Vec<Member> = members
            .extract_if(.., |pair, _| ends(pair))
            .map(|(_, member)| member)
            .collect();
        for member in ended {
            if member.number.is_multiple_of(2) {
                self.tell_end(&member, tie);
            }
        }
    }

    /// A deletion says the whole membership, with the time of its last change or of its end.
    fn tell_end(&mut self, member: &Member, tie: Tie) {
        self.pass_time(tie);
        let told = &member.told;
        let pair = (told.organization_id.clone(), told.user_id.clone());
        let newest = self.organizations.newest_of.get(&pair).copied();
        let (mut timestamp, svix_id) = self.envelope(newest, tie);
        if self.events.len().is_multiple_of(3) {
            timestamp -= SKEW;
        }
        let updated_at = match self.events.len().is_multiple_of(2) {
            true => self.clock,
            false => told.updated_at,
        };
        let what = "organizationMembership.deleted";
        self.push_membership(member, what, updated_at, timestamp, svix_id, Change::Delete);
    }

    fn push_membership(
        &mut self,
        member: &Member,
        event_type: &str,
        updated_at: i64,
        timestamp: i64,
        svix_id: String,
        change: Change,
    ) {
        let told = &member.told;
        let payload = MembershipPayload {
            id: &told.id,
            organization_id: &told.organization_id,
            user_id: &told.user_id,
            role: &told.role,
            desk: &told.desk,
            created_at: member.created_at,
            updated_at,
            timestamp,
        };
        self.events.push(HistoryEvent {
            step: self.step,
            svix_id,
            body: payload.event(event_type),
            family: "organizationMembership",
            object_id: told.id.clone(),
            change,
            updated_at,
            timestamp,
        });
    }
}
