//! Text as text, and text as other types.

use super::*;

#[test]
fn booleans_and_uuids_are_read_whole_or_not_at_all() {
    let words = [
        ("true", "true"),
        ("t", "true"),
        ("1", "true"),
        ("false", "false"),
        ("f", "false"),
        ("0", "false"),
    ];
    reads("boolean", STRICT, &words);
    for text in ["yes", "TRUE", "", " true", "2", "-1", "1.0", "on"] {
        assert_eq!(cast(&texts(&[text]), "boolean", STRICT), ["!unreadable"], "{text}");
    }
    let bytes = "6f9619ff8b86d011b42d00c04fc964ff";
    reads(
        "uuid",
        STRICT,
        &[
            ("6f9619ff-8b86-d011-b42d-00c04fc964ff", bytes),
            ("6F9619FF-8B86-D011-B42D-00C04FC964FF", bytes),
            ("6F9619FF8B86D011B42D00C04FC964FF", bytes),
        ],
    );
    let none = [
        "",
        "{6f9619ff-8b86-d011-b42d-00c04fc964ff}",
        "urn:uuid:6f9619ff-8b86-d011-b42d-00c04fc964ff",
        "6f9619ff-8b86-d011-b42d-00c04fc964f",
        "6f9619ff-8b86-d011-b42d-00c04fc964fg",
        "6f9619ff8-b86-d011-b42d-00c04fc964ff",
        "6f9619ff-8b86-d011-b42d-00c04fc964ff ",
        "ääääääääääääääää",
        "ääääääääääääääääää",
    ];
    for text in none {
        assert_eq!(cast(&texts(&[text]), "uuid", STRICT), ["!unreadable"], "{text}");
    }
    let uuid: ArrayRef = Arc::new(FixedSizeBinaryArray::try_from_iter([[0xab_u8; 16]].into_iter()).expect("16 bytes"));
    let from = ColumnType::Uuid.field("c", true);
    assert_eq!(
        cast_as(&from, &uuid, &ColumnType::TEXT, STRICT),
        ["abababab-abab-abab-abab-abababababab"]
    );
    let binary: ArrayRef = Arc::new(BinaryArray::from(vec![[1_u8; 16].as_slice(), &[1; 15], b""]));
    assert_eq!(
        cast(&binary, "uuid", STRICT),
        ["01010101010101010101010101010101", "!out_of_range", "!out_of_range"]
    );
}

#[test]
fn blanks_at_the_end_count() {
    // The target pads char(n) itself; blanks too many are refused rather than cut.
    let padded = [
        ("a", "a"),
        ("ab ", "ab "),
        ("abc", "abc"),
        ("", ""),
        ("abc ", "!too_long"),
        ("    ", "!too_long"),
        ("äo\u{301}", "äo\u{301}"),
        ("äöüß", "!too_long"),
    ];
    reads("char(3)", STRICT, &padded);
    reads("varchar(3)", STRICT, &padded);
    let distinct = |to: &str| {
        let cast = Cast::plan(&Field::new("c", DataType::Utf8, true), &ty(to), STRICT).expect("possible");
        cast.keeps_distinct()
    };
    assert!(distinct("varchar(3)") && distinct("text"));
    assert!(!distinct("char(3)"), "\"a\" and \"a \" are one value of it");
}

#[test]
fn text_keeps_to_limits_counted_in_code_points() {
    // A combining accent is a code point of its own; an emoji outside the BMP is one.
    assert_eq!(
        cast(
            &texts(&["abc", "abcd", "äöü", "e\u{301}e", "e\u{301}ee", "😀😀😀", "   a"]),
            "varchar(3)",
            STRICT
        ),
        ["abc", "!too_long", "äöü", "e\u{301}e", "!too_long", "😀😀😀", "!too_long"]
    );
    assert_eq!(cast(&texts(&["a\0b", "ab"]), "text", STRICT), ["!nul_byte", "ab"]);
    assert_eq!(cast(&texts(&["a\0b"]), "text", Rules { nul: true, ..STRICT }), ["a\0b"]);
    assert_eq!(
        cast(&texts(&["a\0b"]), "varchar(1)", Rules { nul: true, ..STRICT }),
        ["!too_long"]
    );
    assert_eq!(cast(&ints(&[12345, 1]), "varchar(3)", STRICT), ["!too_long", "1"]);
    let view: ArrayRef = Arc::new(StringViewArray::from(vec!["view"]));
    assert_eq!(cast(&view, "text", STRICT), ["view"]);
    let untouched = texts(&["a", "b"]);
    let same = Cast::plan(&Field::new("c", DataType::Utf8, true), &ty("varchar(9)"), STRICT)
        .expect("text into text")
        .run(&untouched)
        .expect("text");
    assert_eq!(
        same.array.as_string::<i32>().values().as_ptr(),
        untouched.as_string::<i32>().values().as_ptr(),
        "nothing is copied"
    );
    let sliced = texts(&["a\0", "b"]).slice(1, 1);
    assert_eq!(cast(&sliced, "text", STRICT), ["b"], "bytes before a slice do not count");
}

#[test]
fn enum_labels_are_the_target_s_own() {
    let to = ColumnType::Enum {
        name: "colour".to_owned(),
        labels: Arc::new(["red".to_owned(), "light green".to_owned(), String::new()]),
    };
    let from = Field::new("c", DataType::Utf8, true);
    assert_eq!(
        cast_as(&from, &texts(&["red", "Red", "", "light green", "red ", "blue"]), &to, STRICT),
        ["red", "!enum_label", "", "light green", "!enum_label", "!enum_label"]
    );
    let other = ColumnType::Enum {
        name: "paint".to_owned(),
        labels: Arc::new([]),
    };
    assert_eq!(
        cast_as(&other.field("c", true), &texts(&["red", "blue"]), &to, STRICT),
        ["red", "!enum_label"]
    );
    assert_eq!(
        cast_as(&from, &texts(&["anything"]), &other, STRICT),
        ["anything"],
        "without labels the target is asked"
    );
    let casted = Cast::plan(&from, &to, STRICT)
        .expect("possible")
        .run(&texts(&["blue"]))
        .expect("text");
    assert_eq!(casted.faults[0].detail, "not a label of enum colour");
}

proptest! {
    #[test]
    fn limits_count_code_points(text in "\\PC{0,12}", max in 1_u32..12) {
        let fits = text.chars().count() <= max as usize;
        let wanted = if fits { text.as_str() } else { "!too_long" };
        prop_assert_eq!(cast(&texts(&[&text]), &format!("varchar({max})"), STRICT), [wanted]);
    }

    #[test]
    fn a_uuid_comes_back_from_text(bytes: [u8; 16], form in 0..3) {
        let uuid = uuid::Uuid::from_bytes(bytes);
        let text = match form {
            0 => uuid.hyphenated().to_string(),
            1 => uuid.hyphenated().to_string().to_uppercase(),
            _ => uuid.simple().to_string(),
        };
        prop_assert_eq!(cast(&texts(&[&text]), "uuid", STRICT), [uuid.simple().to_string()]);
    }
}
