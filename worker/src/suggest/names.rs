//! The names that are looked for: what applications call their tables and columns. Names stand in one text, the likeliest
//! first, in lower case and without underscores.

use Silence::{Choice, Keep, Never, Path, Writes};
use Takes::{Boolean, Integer, Json, Text, Time, Word};

/// A family of Clerk's objects, and what its table looks like.
pub(super) struct Family {
    /// Its section.
    pub(super) section: &'static str,
    /// What its rows are, for people.
    pub(super) looks_like: &'static str,
    /// What its cache tags begin with.
    pub(super) tag: &'static str,
    /// The last word of the table's name, in the singular.
    pub(super) tables: &'static str,
    /// The column with Clerk's id, where its name says so.
    pub(super) clerk_ids: &'static str,
    /// The same where it may be somebody else's id.
    pub(super) other_ids: &'static str,
    /// How much it looks like the family that there is a column for these paths.
    pub(super) marks: &'static [(&'static str, usize)],
    /// What Clerk says for which columns.
    pub(super) columns: &'static [Known],
}

/// A column that Clerk says something for.
pub(super) struct Known {
    pub(super) names: &'static str,
    pub(super) path: &'static str,
    pub(super) takes: Takes,
    pub(super) silence: Silence,
    /// Why it may be wrong.
    pub(super) note: &'static str,
}

/// The type that a column has to have.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    Text,
    /// Text, or an enum.
    Word,
    Time,
    Boolean,
    Integer,
    Json,
}

/// What a column that takes no NULL gets where Clerk says nothing.
#[derive(Clone, Copy)]
pub(super) enum Silence {
    /// Clerk always says it.
    Never,
    /// This value, as TOML.
    Writes(&'static str),
    /// What another path says.
    Path(&'static str),
    /// Nobody can know: these are the choices.
    Choice(&'static str),
    /// The application may have written it, so it stays.
    Keep,
}

/// Families that a table may look like. An application's `sessions` or `roles` are its own.
pub(super) const FAMILIES: [&Family; 4] = [&USER, &ORGANIZATION, &MEMBERSHIP, &WAITLIST];

/// When Clerk made the object: it is written when the row is made.
pub(super) const CREATED_AT: &str = "created_at";
/// When it changed in Clerk.
pub(super) const UPDATED_AT: &str = "updated_at";

/// Of the same where the application writes it, too.
pub(super) const APPLICATIONS_CLOCK: &str = "the application seems to write it with its own clock; or \"updated_at\": when it changed in Clerk";

const EMAIL: &str = "email emailaddress primaryemail primaryemailaddress useremail mail";
const IMAGE: &str = "imageurl image avatarurl avatar pictureurl picture photourl photo profileimageurl profileimage \
    profilepictureurl profilepicture profilephotourl profilephoto logourl logo";
const NO_ADDRESS: &str = "NOT NULL: a user without one is dead-lettered; or { from = \"primary_email_address\", \
    default = \"{id}@users.invalid\" }";
const KEPT: &str = "a guess: where Clerk's public metadata says nothing, it stays as it is";
const EMPTY: Silence = Writes("\"\"");
const ID: Silence = Writes("\"{id}\"");
const FALSE: Silence = Writes("false");

#[rustfmt::skip]
const CREATED: Known = known("createdat created createdon createddate createtime datecreated creationdate insertedat joinedat datejoined registeredat signedupat", CREATED_AT, Time, Never, "");
#[rustfmt::skip]
const UPDATED: Known = known("updatedat updated updatedon updateddate updatetime dateupdated modifiedat modified modifiedon modifieddate datemodified lastmodified", UPDATED_AT, Time, Never, "or \"now\": when the row is written");
#[rustfmt::skip]
const METADATA: Known = known("publicmetadata metadata", "public_metadata", Json, Writes("{}"), "");
#[rustfmt::skip]
const PLAN: Known = known("plan tier", "public_metadata.plan", Word, Keep, KEPT);
/// Where there is a last name but no first name.
#[rustfmt::skip]
pub(super) const NAME_BESIDE_LAST_NAME: Known = known("name", "first_name", Text, EMPTY, "a guess, since the last name has a column of its own");

#[rustfmt::skip]
pub(super) const USER: Family = Family {
    section: "user",
    looks_like: "users",
    tag: "users",
    tables: "user profile member account customer person people",
    clerk_ids: "clerkid clerkuserid clerkuid clerkauthid clerkuser clerk",
    other_ids: "externalid externaluserid authid authuserid authproviderid providerid provideruserid identityid subject sub uid userid",
    marks: &[("primary_email_address", 3), ("username", 2), ("first_name", 2), ("last_name", 2), ("full_name", 1), ("image_url", 1), ("primary_phone_number", 1)],
    columns: &[
        known(EMAIL, "primary_email_address", Text, Choice(NO_ADDRESS), ""),
        known("emailverified isemailverified", "primary_email_verified", Boolean, FALSE, ""),
        known("firstname givenname forename fname", "first_name", Text, EMPTY, ""),
        known("lastname surname familyname lname", "last_name", Text, EMPTY, ""),
        known("fullname name displayname", "full_name", Text, EMPTY, ""),
        known("username", "username", Text, ID, ""),
        known("login handle nickname screenname", "username", Text, ID, "a guess"),
        known("phone phonenumber primaryphone primaryphonenumber mobile mobilenumber mobilephone telephone", "primary_phone_number", Text, EMPTY, ""),
        known(IMAGE, "image_url", Text, EMPTY, ""),
        known("locale language lang", "locale", Text, EMPTY, ""),
        known("timezone", "timezone", Text, EMPTY, ""),
        METADATA,
        known("unsafemetadata", "unsafe_metadata", Json, Writes("{}"), "the user can write it"),
        known("privatemetadata", "private_metadata", Json, Writes("{}"), "what only the backend may see: leave it out if others read this table"),
        known("role userrole", "public_metadata.role", Word, Keep, KEPT),
        PLAN,
        known("banned isbanned", "banned", Boolean, FALSE, ""),
        known("locked islocked", "locked", Boolean, FALSE, "a guess: after too many wrong passwords"),
        known("twofactorenabled mfaenabled", "two_factor_enabled", Boolean, FALSE, ""),
        known("lastsigninat lastsignin lastsignedinat lastloginat lastlogin", "last_sign_in_at", Time, Path(CREATED_AT), ""),
        CREATED,
        UPDATED,
    ],
};

#[rustfmt::skip]
pub(super) const ORGANIZATION: Family = Family {
    section: "organization",
    looks_like: "organizations",
    tag: "organizations",
    tables: "organization organisation org tenant company workspace team",
    clerk_ids: "clerkorgid clerkorganizationid clerkorganisationid clerktenantid clerkteamid clerkorg clerkid",
    other_ids: "externalid externalorgid externalorganizationid authid authorgid orgid organizationid",
    marks: &[("name", 3), ("slug", 2)],
    columns: &[
        known("name displayname title organizationname orgname companyname tenantname teamname", "name", Text, Never, ""),
        known("slug", "slug", Text, ID, ""),
        known(IMAGE, "image_url", Text, EMPTY, ""),
        known("maxallowedmemberships maxmembers", "max_allowed_memberships", Integer, Writes("0"), "0: without a limit"),
        METADATA,
        PLAN,
        CREATED,
        UPDATED,
    ],
};

#[rustfmt::skip]
pub(super) const MEMBERSHIP: Family = Family {
    section: "organizationMembership",
    looks_like: "memberships",
    tag: "memberships",
    tables: "membership member",
    clerk_ids: "clerkmembershipid",
    other_ids: "",
    marks: &[],
    columns: &[
        known("role orgrole memberrole", "role", Word, Never, "Clerk's words are org:admin and org:member"),
        METADATA,
        CREATED,
        UPDATED,
    ],
};

#[rustfmt::skip]
pub(super) const WAITLIST: Family = Family {
    section: "waitlistEntry",
    looks_like: "a waitlist",
    tag: "waitlist",
    tables: "waitlist waitlistentry waitinglist waitinglistentry",
    clerk_ids: "clerkid clerkwaitlistid clerkwaitlistentryid clerkentryid",
    other_ids: "externalid",
    marks: &[("email_address", 3)],
    columns: &[
        known(EMAIL, "email_address", Text, Never, ""),
        known("status", "status", Word, Never, "pending, invited, completed, rejected"),
        CREATED,
        UPDATED,
    ],
};

/// Who has made an organization.
pub(super) const CREATORS: &str =
    "createdby createdbyid creatorid owner ownerid owneruserid userid";

/// What a row is made with where its column takes no NULL and nothing fills it; and why.
#[rustfmt::skip]
pub(super) const MADE_WITH: &[(&str, Takes, &str, &str)] = &[
    ("password passwordhash hashedpassword encryptedpassword passworddigest", Text, "{ value = \"!\" }", "no password is like it: people sign in with Clerk"),
    ("isadmin admin issuperuser superuser isstaff staff", Boolean, "false", "nobody has rights from the beginning"),
    ("isactive active enabled isenabled", Boolean, "true", ""),
    ("isdeleted deleted", Boolean, "false", ""),
];

const STAYS: &str = "the row stays; what tells who it was can be emptied here, too";

/// Columns that mark a row as deleted, and with what; and what is to know of that.
#[rustfmt::skip]
pub(super) const DELETED: &[(&str, Takes, &str, &str)] = &[
    ("deletedat deletedon deleted datedeleted discardedat removedat deactivatedat", Time, "\"event.timestamp\"", STAYS),
    ("isdeleted deleted", Boolean, "true", STAYS),
    ("isactive active", Boolean, "false", "a guess: the row stays, and this marks it; what tells who it was can be emptied here, too"),
];

/// Words of an enum that give the least rights, the least first.
pub(super) const LEAST: &str = "guest viewer member user customer student free basic none default";

const fn known(
    names: &'static str,
    path: &'static str,
    takes: Takes,
    silence: Silence,
    note: &'static str,
) -> Known {
    Known {
        names,
        path,
        takes,
        silence,
        note,
    }
}
