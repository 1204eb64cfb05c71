//! A column as the database has it.

use tokio_postgres::{Error, Row};

/// One column.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Column {
    /// Its name, without quotes.
    pub name: String,
    /// What it takes.
    pub kind: Kind,
    /// Its type as SQL writes it, with schema and quotes where they are needed, without what stands in parentheses.
    pub sql_type: String,
    /// The same with what stands in parentheses: varchar(255), timestamp(3).
    pub exact_sql_type: String,
    /// The type that it stands for in the end, if it is a domain, without what stands in parentheses.
    pub base_sql_type: String,
    /// Its collation as SQL writes it, if it is not the one of its type.
    pub collation: Option<String>,
    /// Whether it takes NULL.
    pub takes_null: bool,
    /// Whether something is written where an INSERT does not name it.
    pub has_default: bool,
    /// Whether a plain unique index is on this column alone.
    pub is_unique: bool,
    /// Its DEFAULT as SQL writes it; none of an identity or a generated column.
    pub default_sql: Option<String>,
    /// Whether nobody but PostgreSQL may write it: GENERATED ALWAYS, of whatever kind.
    pub is_generated: bool,
    /// Whether it is an identity.
    pub is_identity: bool,
    /// Whether our role may read it.
    pub may_select: bool,
    /// Whether it may give it a value in a new row.
    pub may_insert: bool,
    /// Whether it may change it.
    pub may_update: bool,
    /// The schema of its type, if our role may not look into that.
    pub hidden_schema: Option<String>,
    /// The sequence that its default takes values from, as SQL writes it, if our role may not use that.
    pub refused_sequence: Option<String>,
}

/// What a column takes: its type, or what the domain of its type stands for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// text, varchar, char, citext
    Text {
        /// How many characters there is room for.
        characters: Option<usize>,
        /// Spaces at the end do not count: PostgreSQL adds them and takes them away.
        is_padded: bool,
    },
    /// An enum with these words.
    Enum(Vec<String>),
    /// timestamptz or timestamp
    Time,
    /// date
    Date,
    /// boolean
    Boolean,
    /// smallint, integer, bigint
    Integer {
        /// The least value.
        least: i64,
        /// The greatest value.
        greatest: i64,
    },
    /// numeric
    Numeric {
        /// How many digits there is room for before the point, and to how many behind it is rounded; both may be
        /// negative.
        digits: Option<(i64, i64)>,
    },
    /// real, double precision
    Real,
    /// uuid
    Uuid,
    /// json, jsonb
    Json,
    /// An array of text, varchar, char, citext or an enum; what each of its texts is.
    TextArray(Box<Kind>),
    /// Anything else: PostgreSQL has to say whether it takes a text.
    #[default]
    Other,
}

impl Column {
    pub(super) fn of(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            name: row.try_get("name")?,
            kind: Kind::of(
                row.try_get("kind")?,
                row.try_get("modifier")?,
                row.try_get("words")?,
            ),
            sql_type: row.try_get("sql_type")?,
            exact_sql_type: row.try_get("exact_sql_type")?,
            base_sql_type: row.try_get("base_sql_type")?,
            collation: row.try_get("collation")?,
            takes_null: row.try_get("takes_null")?,
            has_default: row.try_get("has_default")?,
            // The indexes tell.
            is_unique: false,
            default_sql: row.try_get("default_sql")?,
            is_generated: row.try_get("is_generated")?,
            is_identity: row.try_get("is_identity")?,
            may_select: row.try_get("may_select")?,
            may_insert: row.try_get("may_insert")?,
            may_update: row.try_get("may_update")?,
            hidden_schema: row.try_get("hidden_schema")?,
            refused_sequence: row.try_get("refused_sequence")?,
        })
    }
}

impl Kind {
    fn of(kind: &str, modifier: i32, words: Vec<String>) -> Self {
        let integer = |least, greatest| Self::Integer { least, greatest };
        match kind {
            "text" | "varchar" | "bpchar" | "citext" => Self::Text {
                // PostgreSQL adds the four bytes of its header to the length; -1 is none.
                characters: usize::try_from(modifier - 4).ok(),
                is_padded: kind == "bpchar",
            },
            "enum" => Self::Enum(words),
            "timestamptz" | "timestamp" => Self::Time,
            "date" => Self::Date,
            "bool" => Self::Boolean,
            "int2" => integer(i16::MIN.into(), i16::MAX.into()),
            "int4" => integer(i32::MIN.into(), i32::MAX.into()),
            "int8" => integer(i64::MIN, i64::MAX),
            "numeric" => Self::Numeric {
                digits: digits(modifier),
            },
            "float4" | "float8" => Self::Real,
            "uuid" => Self::Uuid,
            "json" | "jsonb" => Self::Json,
            _ => match kind.strip_suffix(" array") {
                Some(element) => Self::TextArray(Box::new(Self::of(element, modifier, words))),
                None => Self::Other,
            },
        }
    }
}

/// PostgreSQL keeps the precision above the scale, which has eleven bits with its sign, and adds four.
fn digits(modifier: i32) -> Option<(i64, i64)> {
    let both = u32::try_from(modifier).ok()?.checked_sub(4)?;
    let precision = i64::from(both >> 16);
    let scale = (i64::from(both & 0x7ff) ^ 0x400) - 0x400;
    Some((precision - scale, scale))
}
