//! Hazards of SQL, by the statements that the parser makes of it.

use std::ops::ControlFlow;

use sqlparser::ast::{
    AlterColumnOperation, AlterTable, AlterTableOperation, ColumnDef, ColumnOption, Delete, FromTable, Ident, ObjectName,
    Statement, Visit, Visitor,
};
use sqlparser::parser::Parser;
use sqlparser::tokenizer::Token;

use super::pieces_of_sql::{self, Lines};
use super::{Dialect, Found, When, words};
use crate::data::table::TableName;

/// Steps of a text.
pub(super) fn find(text: &str, dialect: Dialect) -> Vec<Found> {
    let Some(statements) = pieces_of_sql::split(text, dialect) else {
        return vec![Found {
            at: 0,
            what: "cannot be read as SQL: a quote or a comment in it has no end".to_owned(),
            when: When::NotEmpty,
        }];
    };
    let lines = Lines::of(text);
    let mut found = Vec::new();
    for statement in statements {
        let start = statement.pieces[0].start;
        match parse(statement.tokens, dialect) {
            Some(parsed) => {
                let look = Look {
                    dialect,
                    lines: &lines,
                    start,
                    found: Vec::new(),
                };
                match look.statement(&parsed) {
                    Some(steps) => found.extend(steps),
                    None => found.extend(words::find(&statement.pieces, dialect)),
                }
            }
            None => found.extend(words::find(&statement.pieces, dialect)),
        }
    }
    found
}

/// `None` where the parser does not know all of it.
fn parse(tokens: Vec<sqlparser::tokenizer::TokenWithSpan>, dialect: Dialect) -> Option<Statement> {
    let mut parser = Parser::new(pieces_of_sql::syntax(dialect)).with_tokens_with_locations(tokens);
    let statement = parser.parse_statement().ok()?;
    (parser.peek_token().token == Token::EOF).then_some(statement)
}

/// Looks at one statement.
struct Look<'a> {
    dialect: Dialect,
    lines: &'a Lines<'a>,
    start: usize,
    found: Vec<Found>,
}

impl Look<'_> {
    /// Its steps; `None` where its words say more than what the parser makes of it.
    fn statement(mut self, statement: &Statement) -> Option<Vec<Found>> {
        match statement {
            Statement::AlterTable(table) => {
                if !self.alter(table) {
                    return None;
                }
            }
            // Whatever they contain is done when it is called.
            Statement::CreateFunction(_) | Statement::CreateTrigger(_) | Statement::CreateProcedure { .. } => {}
            Statement::CreateTable(_)
            | Statement::CreateView(_)
            | Statement::Insert(_)
            | Statement::Update(_)
            | Statement::Query(_)
            | Statement::Delete(_) => drop(statement.visit(&mut self)),
            _ => return None,
        }
        Some(self.found)
    }

    fn push(&mut self, at: Option<&Ident>, what: String, when: When) {
        let at = at.map_or(self.start, |ident| self.lines.byte(ident.span.start));
        self.found.push(Found { at, what, when });
    }

    /// Whether all that it does is known.
    fn alter(&mut self, alter: &AlterTable) -> bool {
        let table = self.table(&alter.name);
        let filled = || table.clone().map_or(When::Always, When::Filled);
        let name = &alter.name;
        for operation in &alter.operations {
            match operation {
                AlterTableOperation::DropColumn { column_names, .. } => {
                    for column in column_names {
                        self.push(Some(column), format!("drops column {column} of {name}"), When::Always);
                    }
                }
                AlterTableOperation::DropConstraint { name: constraint, .. } => {
                    self.push(
                        Some(constraint),
                        format!("drops constraint {constraint} of {name}"),
                        When::Always,
                    );
                }
                AlterTableOperation::AlterColumn { column_name, op } => match op {
                    AlterColumnOperation::SetDataType { .. } => {
                        self.push(
                            Some(column_name),
                            format!("changes the type of {column_name} of {name}"),
                            When::Always,
                        );
                    }
                    AlterColumnOperation::SetNotNull => {
                        self.push(
                            Some(column_name),
                            format!("forbids NULL in {column_name} of {name}"),
                            filled(),
                        );
                    }
                    _ => {}
                },
                AlterTableOperation::AddColumn { column_def, .. } => {
                    if is_required(column_def) {
                        let column = &column_def.name;
                        let what = format!("adds column {column} of {name} without a value for its rows");
                        self.push(Some(column), what, filled());
                    }
                }
                AlterTableOperation::AddConstraint { .. }
                | AlterTableOperation::EnableRowLevelSecurity
                | AlterTableOperation::DisableRowLevelSecurity
                | AlterTableOperation::RenameColumn { .. }
                | AlterTableOperation::RenameConstraint { .. }
                | AlterTableOperation::RenameTable { .. } => {}
                _ => return false,
            }
        }
        true
    }

    /// A table's name as its database has it.
    fn table(&self, name: &ObjectName) -> Option<TableName> {
        let mut parts = name.0.iter().rev().map(|part| part.as_ident().map(|ident| self.spelt(ident)));
        let table = parts.next()??;
        let schema = parts.next().flatten();
        Some(TableName { schema, name: table })
    }

    fn spelt(&self, ident: &Ident) -> String {
        match ident.quote_style {
            None if self.dialect == Dialect::Postgres => ident.value.to_lowercase(),
            _ => ident.value.clone(),
        }
    }
}

/// Statements may stand in others: `with gone as (delete from …)`.
impl Visitor for Look<'_> {
    type Break = ();

    fn pre_visit_statement(&mut self, statement: &Statement) -> ControlFlow<()> {
        if let Statement::Delete(delete) = statement {
            self.delete(delete);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, query: &sqlparser::ast::Query) -> ControlFlow<()> {
        if let sqlparser::ast::SetExpr::Delete(Statement::Delete(delete)) = query.body.as_ref() {
            self.delete(delete);
        }
        ControlFlow::Continue(())
    }
}

impl Look<'_> {
    fn delete(&mut self, delete: &Delete) {
        if delete.selection.is_some() {
            return;
        }
        let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
        let names: Vec<String> = from.iter().map(|table| table.relation.to_string()).collect();
        let at = self.lines.byte(delete.delete_token.0.span.start);
        let found = Found {
            at,
            what: format!("deletes all rows of {}", names.join(", ")),
            when: When::Always,
        };
        // The statement itself is met twice where it is the body of a query.
        if !self.found.contains(&found) {
            self.found.push(found);
        }
    }
}

/// Whether a new column needs a value and brings none.
fn is_required(column: &ColumnDef) -> bool {
    let forbids = |option: &ColumnOption| matches!(option, ColumnOption::NotNull | ColumnOption::PrimaryKey(_));
    let fills = |option: &ColumnOption| {
        matches!(
            option,
            ColumnOption::Default(_) | ColumnOption::Generated { .. } | ColumnOption::Identity(_)
        )
    };
    let has = |what: &dyn Fn(&ColumnOption) -> bool| column.options.iter().any(|option| what(&option.option));
    let is_serial = column.data_type.to_string().to_ascii_lowercase().contains("serial");
    has(&forbids) && !has(&fills) && !is_serial
}
