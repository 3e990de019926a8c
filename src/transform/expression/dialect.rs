//! The SQL of expressions: PostgreSQL's, without named arguments. Looking for those, its own
//! parser reads every argument twice, and what is nested twice as often at each level.

use std::any::TypeId;

use datafusion_sql::sqlparser::dialect::{Dialect, PostgreSqlDialect, Precedence};
use datafusion_sql::sqlparser::keywords::Keyword;
use datafusion_sql::sqlparser::parser::{Parser, ParserError};

/// The dialect.
#[derive(Debug)]
pub(super) struct MappingDialect;

const LIKE: PostgreSqlDialect = PostgreSqlDialect {};

impl Dialect for MappingDialect {
    fn dialect(&self) -> TypeId {
        LIKE.dialect()
    }

    fn is_delimited_identifier_start(&self, c: char) -> bool {
        LIKE.is_delimited_identifier_start(c)
    }

    fn is_identifier_start(&self, c: char) -> bool {
        LIKE.is_identifier_start(c)
    }

    fn is_identifier_part(&self, c: char) -> bool {
        LIKE.is_identifier_part(c)
    }

    fn is_reserved_for_identifier(&self, keyword: Keyword) -> bool {
        LIKE.is_reserved_for_identifier(keyword)
    }

    fn is_custom_operator_part(&self, c: char) -> bool {
        LIKE.is_custom_operator_part(c)
    }

    fn get_next_precedence(&self, parser: &Parser<'_>) -> Option<Result<u8, ParserError>> {
        LIKE.get_next_precedence(parser)
    }

    fn prec_value(&self, precedence: Precedence) -> u8 {
        LIKE.prec_value(precedence)
    }

    fn allow_extract_custom(&self) -> bool {
        true
    }

    fn allow_extract_single_quotes(&self) -> bool {
        true
    }

    fn supports_filter_during_aggregation(&self) -> bool {
        true
    }

    fn supports_bitwise_shift_operators(&self) -> bool {
        true
    }

    fn supports_nested_comments(&self) -> bool {
        true
    }

    fn supports_string_escape_constant(&self) -> bool {
        true
    }

    fn supports_unicode_string_literal(&self) -> bool {
        true
    }

    fn supports_array_typedef_with_brackets(&self) -> bool {
        true
    }

    fn supports_comma_separated_trim(&self) -> bool {
        true
    }

    fn supports_interval_options(&self) -> bool {
        LIKE.supports_interval_options()
    }
}
