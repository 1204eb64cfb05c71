//! The statements for rows of deleted objects.

use tokio_postgres::types::Type;

use super::Writer;
use super::expression::{array_type, assigned, parameter_sql_type};
use crate::database::catalogue::name::quoted;
use crate::tables::section::{Column, OnDelete};

impl Writer<'_> {
    pub(super) fn delete(&self) -> String {
        let (name, source) = (&self.name, self.objects().sql("gone"));
        let (is_of, told) = (self.is_of("gone"), self.told("present"));
        format!(
            "DELETE FROM {name} AS present\n USING {source}\n WHERE {is_of}\nRETURNING gone.object_id{told}"
        )
    }

    pub(super) fn set_on_delete(&self, columns: &[Column]) -> Option<String> {
        let mut source = self.objects();
        let mut assignments = Vec::new();
        for (place, column) in columns.iter().enumerate() {
            let stored = self.table.column(&column.name)?;
            source.add(parameter_sql_type(stored), format!("c{place}"));
            let value = assigned(&format!("gone.c{place}"), stored);
            assignments.push(format!("{} = {value}", quoted(&column.name)));
        }
        let (name, assignments) = (&self.name, assignments.join(",\n       "));
        let (source, is_of) = (source.sql("gone"), self.is_of("gone"));
        let told = self.told("present");
        Some(format!(
            "UPDATE {name} AS present\n   SET {assignments}\n  FROM {source}\n WHERE {is_of}\nRETURNING gone.object_id{told}"
        ))
    }

    pub(super) fn deleted_cell_types(&self) -> Vec<Type> {
        let OnDelete::Set(columns) = &self.section.on_delete else {
            return Vec::new();
        };
        let stored = columns
            .iter()
            .filter_map(|column| self.table.column(&column.name));
        stored.map(array_type).collect()
    }
}
