//! The statements for people to read.

use super::Statements;

impl std::fmt::Display for Statements {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (update, rows) = (Some(&self.update), Some(&self.rows));
        let (compare, altered) = (Some(&self.compare), Some(&self.remember_altered));
        for (name, sql) in [
            ("own", self.own.as_ref()),
            ("disown", self.disown.as_ref()),
            ("lock the owners of links", self.lock_links.as_ref()),
            ("before rows are written", self.before.as_ref()),
            ("update", update),
            ("update older rows", self.update_older.as_ref()),
            ("link", self.link.as_ref()),
            ("insert", self.insert.as_ref()),
            ("adopt the times of newer rows", self.adopt.as_ref()),
            ("before rows are deleted", self.before_deletion.as_ref()),
            ("delete", self.delete.as_ref()),
            ("set what a deletion does", self.set_on_delete.as_ref()),
            ("rows of objects", rows),
            ("compare", compare),
            ("remember what triggers have altered", altered),
            ("rows after another", Some(&self.rows_after)),
        ] {
            if let Some(sql) = sql {
                writeln!(formatter, "-- {name}\n{sql};\n")?;
            }
        }
        for (_, sql) in &self.holders {
            writeln!(formatter, "-- holders of a unique value\n{sql};\n")?;
        }
        for sql in self.vacate.iter().filter_map(|(_, sql)| sql.as_ref()) {
            writeln!(formatter, "-- vacate a unique value\n{sql};\n")?;
        }
        Ok(())
    }
}
