//! A column as the database has it.

/// One column.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// Whether a plain unique index is on this column alone, and it is not the key.
    pub is_unique: bool,
}

/// What a column takes: its type, or what the domain of its type stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
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
        /// Of numeric(6,2): 6 and 2, for how many digits there is room, and how many of them are behind the point.
        digits: Option<(i64, i64)>,
    },
    /// real, double precision
    Real,
    /// uuid
    Uuid,
    /// json, jsonb
    Json,
    /// An array of text, varchar, char, citext or an enum.
    TextArray,
    /// Anything else: PostgreSQL has to say whether it takes a text.
    Other,
}
