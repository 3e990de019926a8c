//! What holds for every number.

use arrow::datatypes::{Decimal128Type, Float32Type};

use super::*;
use crate::transform::cast::decimal::Literal;

proptest! {
    #[test]
    fn an_integer_comes_back_from_text(value: i64) {
        let text = cast(&ints(&[value]), "text", STRICT);
        let back = cast(&texts(&[&text[0]]), "bigint", STRICT);
        prop_assert_eq!(&back[0], &value.to_string());
    }

    #[test]
    fn a_decimal_comes_back_from_text(value in -(10_i128.pow(38) - 1)..10_i128.pow(38), scale in 0_i8..=38) {
        let input = decimals(&[value], 38, scale);
        let to = format!("numeric(38,{scale})");
        let text = cast(&input, "text", STRICT);
        let back = cast(&texts(&[&text[0]]), &to, STRICT);
        prop_assert_eq!(&back, &cast(&input, &to, STRICT));
        let numeric = cast(&input, "numeric", STRICT);
        prop_assert_eq!(cast(&texts(&[&numeric[0]]), &to, STRICT), back);
    }

    #[test]
    fn a_float_comes_back_from_text(bits: u64) {
        let value = f64::from_bits(bits);
        prop_assume!(!value.is_nan());
        let text = cast(&floats(&[value]), "text", STRICT);
        let cast = Cast::plan(&Field::new("c", DataType::Utf8, true), &ty("double precision"), STRICT).expect("possible");
        let back = cast.run(&texts(&[&text[0]])).expect("text");
        prop_assert!(back.faults.is_empty(), "{}", text[0]);
        prop_assert_eq!(back.array.as_primitive::<arrow::datatypes::Float64Type>().value(0).to_bits(), bits);
    }

    #[test]
    fn rounding_agrees_with_whole_numbers(value in -1_000_000_i64..1_000_000) {
        // value/1000 rounded to two digits, once as a decimal and once as text.
        let decimal = cast(&decimals(&[value.into()], 10, 3), "numeric(10,2)", LOSSY);
        let text = cast(&decimals(&[value.into()], 10, 3), "text", STRICT);
        prop_assert_eq!(&decimal, &cast(&texts(&[&text[0]]), "numeric(10,2)", LOSSY));
    }

    #[test]
    fn an_integer_comes_back_from_a_decimal(value: i64, scale in 0_i8..=19) {
        let to = ColumnType::Decimal { precision: 38, scale };
        let from = Field::new("c", DataType::Int64, true);
        let decimal = Cast::plan(&from, &to, STRICT).expect("possible").run(&ints(&[value])).expect("integers");
        prop_assert!(decimal.faults.is_empty());
        prop_assert_eq!(decimal.array.as_primitive::<Decimal128Type>().value(0), i128::from(value) * 10_i128.pow(scale.unsigned_abs().into()));
        prop_assert_eq!(cast(&decimal.array, "bigint", STRICT), [value.to_string()]);
        prop_assert_eq!(cast(&decimal.array, "numeric", STRICT), cast(&decimal.array, "text", STRICT));
    }

    /// The reference is whole-number arithmetic: twice the rest against the divisor.
    #[test]
    fn rounding_is_half_away_from_zero(value in -10_i128.pow(20)..10_i128.pow(20), from in 0_i8..=12, to in 0_i8..=12) {
        let divisor = 10_i128.pow(u32::from(from.saturating_sub(to).max(0).unsigned_abs()));
        let factor = 10_i128.pow(u32::from(to.saturating_sub(from).max(0).unsigned_abs()));
        let nearest = (value.abs() + divisor / 2) / divisor * value.signum() * factor;
        let exact = value % divisor == 0;
        let target = ColumnType::Decimal { precision: 38, scale: to };
        let column = decimals(&[value], 38, from);
        let field = Field::new("c", column.data_type().clone(), true);
        let lossy = Cast::plan(&field, &target, LOSSY).expect("possible").run(&column).expect("decimals");
        prop_assert_eq!(lossy.array.as_primitive::<Decimal128Type>().value(0), nearest);
        let strict = Cast::plan(&field, &target, STRICT).expect("possible").run(&column).expect("decimals");
        prop_assert_eq!(strict.faults.is_empty(), exact);
        // The same by way of text, into both representations.
        let text = cast(&column, "text", STRICT);
        let mut wanted = String::new();
        decimal::write_scaled(nearest, to, &mut wanted);
        prop_assert_eq!(cast(&texts(&[&text[0]]), &format!("numeric(38,{to})"), LOSSY), [wanted.as_str()]);
        let long = cast(&texts(&[&text[0]]), &format!("numeric(60,{to})"), LOSSY);
        prop_assert_eq!(cast(&texts(&[&long[0]]), &format!("numeric(38,{to})"), STRICT), [wanted]);
    }

    #[test]
    fn a_decimal_beyond_the_precision_is_out_of_range(value: i64, precision in 1_u8..=20) {
        let fits = i128::from(value).unsigned_abs() < 10_u128.pow(precision.into());
        let wanted = if fits { value.to_string() } else { "!out_of_range".to_owned() };
        let to = format!("numeric({precision},0)");
        prop_assert_eq!(cast(&ints(&[value]), &to, STRICT), [wanted.as_str()]);
        prop_assert_eq!(cast(&texts(&[&value.to_string()]), &to, STRICT), [wanted.as_str()]);
        prop_assert_eq!(cast(&decimals(&[value.into()], 38, 0), &to, STRICT), [wanted]);
    }

    #[test]
    fn a_single_float_comes_back_from_text_and_double(bits: u32) {
        let value = f32::from_bits(bits);
        prop_assume!(!value.is_nan());
        let single: ArrayRef = Arc::new(Float32Array::from(vec![value]));
        let text = cast(&single, "text", STRICT);
        for (from, wide) in [(DataType::Utf8, texts(&[&text[0]])), (DataType::Float64, floats(&[f64::from(value)]))] {
            let back = Cast::plan(&Field::new("c", from, true), &ColumnType::Float32, STRICT).expect("possible").run(&wide).expect("planned");
            prop_assert!(back.faults.is_empty(), "{}", text[0]);
            prop_assert_eq!(back.array.as_primitive::<Float32Type>().value(0).to_bits(), bits);
        }
    }

    /// The text of a float is a number that nothing shorter stands for, and JSON takes it.
    #[test]
    fn the_text_of_a_float_is_its_shortest(value in proptest::num::f64::NORMAL | proptest::num::f64::SUBNORMAL | proptest::num::f64::ZERO) {
        let text = cast(&floats(&[value]), "text", STRICT).remove(0);
        let shortest = value.to_string();
        let (ours, theirs) = (Literal::parse(&text).expect("a number"), Literal::parse(&shortest).expect("a number"));
        prop_assert!(ours.same_number(&theirs), "{text} {shortest}");
        prop_assert_eq!(cast(&texts(&[&text]), "jsonb", STRICT), [text.as_str()]);
        prop_assert_eq!(text.parse::<f64>().map(f64::to_bits), Ok(value.to_bits()));
    }

    #[test]
    fn an_integer_is_a_float_only_where_the_float_comes_back(value: i64) {
        for value in [value, value >> 11, value >> 40] {
            let size = value.unsigned_abs();
            // A float holds so many binary digits between the first and the last that is set.
            let digits = if size == 0 { 0 } else { 64 - size.leading_zeros() - size.trailing_zeros() };
            for (to, most) in [("double precision", 53), ("real", 24)] {
                let got = cast(&ints(&[value]), to, STRICT).remove(0);
                prop_assert_eq!(got != "!inexact", digits <= most, "{} as {}", value, to);
            }
        }
    }

    #[test]
    fn a_float_in_a_decimal_is_the_number_it_stands_for(digits in -999_999_999_999_999_i64..=999_999_999_999_999, scale in 0_i8..=10) {
        // Up to 15 digits survive in a double, so that the decimal comes back.
        let text = cast(&decimals(&[digits.into()], 38, scale), "text", STRICT).remove(0);
        let float: f64 = text.parse().expect("a number");
        prop_assert_eq!(cast(&floats(&[float]), &format!("numeric(38,{scale})"), STRICT), [text.as_str()]);
        prop_assert_eq!(cast(&texts(&[&text]), "double precision", STRICT), cast(&floats(&[float]), "double precision", STRICT));
    }
}
