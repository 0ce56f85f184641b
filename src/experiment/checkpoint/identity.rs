//! In what two runs differ, value by value.

use serde_json::Value;

/// So many differences are named.
const MOST: usize = 4;

/// Each value that is not what it was, by its path: "runs.0.settings.rate was 0.1 and is 0.2".
pub fn differences(then: &Value, now: &Value) -> Vec<String> {
    let mut found = vec![];
    compare(String::new(), then, now, &mut found);
    if found.len() > MOST {
        let more = found.len() - MOST;
        found.truncate(MOST);
        found.push(format!("and {more} more"));
    }
    found
}

fn compare(path: String, then: &Value, now: &Value, found: &mut Vec<String>) {
    let below = |name: &str| if path.is_empty() { name.into() } else { format!("{path}.{name}") };
    match (then, now) {
        (Value::Object(before), Value::Object(after)) => {
            let added = after.keys().filter(|name| !before.contains_key(*name));
            for name in before.keys().chain(added) {
                compare(below(name), &then[name], &now[name], found);
            }
        }
        (Value::Array(before), Value::Array(after)) if before.len() == after.len() => {
            for (number, (then, now)) in before.iter().zip(after).enumerate() {
                compare(below(&number.to_string()), then, now, found);
            }
        }
        (Value::Array(before), Value::Array(after)) => {
            found.push(format!("{path} were {} and are {}", before.len(), after.len()));
        }
        _ if then != now => found.push(format!("{path} was {then} and is {now}")),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::differences;
    use serde_json::json;

    #[test]
    fn differences_are_named_by_path_with_both_values() {
        let then = json!({ "device": { "adapter": "cpu" }, "runs": [{ "rate": 0.1 }, { "rate": 0.1 }], "data": "a" });
        let now = json!({ "device": { "adapter": "GPU" }, "runs": [{ "rate": 0.1 }, { "rate": 0.2 }], "more": 1 });
        let told = [
            r#"data was "a" and is null"#,
            r#"device.adapter was "cpu" and is "GPU""#,
            "runs.1.rate was 0.1 and is 0.2",
            "more was null and is 1",
        ];
        assert_eq!(differences(&then, &now), told);
        assert_eq!(differences(&json!({ "runs": [1, 2] }), &json!({ "runs": [1] })), ["runs were 2 and are 1"]);
        assert!(differences(&then, &then).is_empty());
    }
}
