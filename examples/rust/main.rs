// Recommend with a file of a fixed number (python -m export hybrid --fixed-k=10) and the JSON beside it.
//
//     cargo run -- hybrid.k10.onnx            checks the golden vectors
//     cargo run -- hybrid.k10.onnx 1,50,260   a list for who had these items, oldest first
//
// Needs the crates ort 2.0.0-rc.12 and serde_json 1. Not run by this project's tests, which hold its names of inputs and
// outputs against those of the files.

use std::{collections::{HashMap, HashSet}, env, error::Error, fs};

use ort::{
    session::{Session, SessionInputValue},
    value::Tensor,
};
use serde_json::Value;

type Lists = (Vec<i64>, Vec<f32>);

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = env::args().skip(1).collect();
    let beside = words[0].replace(".onnx", ".contract.json");
    let contract: Value = serde_json::from_str(&fs::read_to_string(beside)?)?;
    let dropped = contract["dropped"]["score"].as_f64().unwrap() as f32;
    let mut session = Session::builder()?.commit_from_file(&words[0])?;
    if words.len() == 1 {
        return check(&mut session, &contract["golden"], dropped);
    }
    let ids: Vec<String> = contract["item_ids"].as_array().unwrap().iter().map(text).collect();
    let index: HashMap<&str, i64> = ids
        .iter()
        .enumerate()
        .map(|(place, id)| (id.as_str(), place as i64 + 1))
        .collect();
    let mut known: Vec<i64> = words[1].split(',').filter_map(|id| index.get(id).copied()).collect();
    if known.is_empty() || contract["window"].is_null() {
        return Err("no item of this history is known, or no window is taken".into());
    }
    if contract["history"]["repeats"] == "latest" {
        let mut met = HashSet::new(); // an item that comes again stands once, at its latest place
        known.reverse();
        known.retain(|item| met.insert(*item));
        known.reverse();
    }
    let longest = contract["window"]["longest"].as_u64().unwrap() as usize;
    let window = known[known.len().saturating_sub(longest)..].to_vec(); // any length from 1 on, newest last
    let again = contract["table_rules"]["seen"] == "keep";
    let seen = if again { vec![0] } else { known.clone() }; // padding: what was had may come again
    let mut feeds = Vec::new();
    for input in contract["inputs"].as_array().unwrap() {
        let row = match input["name"].as_str().unwrap() {
            "window" => window.clone(),
            "seen" => seen.clone(),
            "levels" => vec![0; window.len()],
            other => return Err(format!("this file also takes {other}").into()),
        };
        feeds.push((text(&input["name"]), vec![1, row.len()], row));
    }
    let (items, scores) = lists(&mut session, feeds)?;
    for (item, score) in items.iter().zip(scores).filter(|(_, score)| *score > dropped) {
        println!("{} {score}", ids[*item as usize - 1]);
    }
    Ok(())
}

fn check(session: &mut Session, golden: &Value, dropped: f32) -> Result<(), Box<dyn Error>> {
    let cases = golden["cases"].as_array().unwrap();
    for case in cases {
        let mut feeds = Vec::new();
        for (name, given) in case["inputs"].as_object().unwrap() {
            let shape = flat(&given["shape"])
                .iter()
                .map(|size| size.as_u64().unwrap() as usize)
                .collect();
            let values = flat(&given["values"])
                .iter()
                .map(|value| value.as_i64().unwrap())
                .collect();
            feeds.push((name.clone(), shape, values));
        }
        let (items, scores) = lists(session, feeds)?;
        let (wanted, expected, certain) = (flat(&case["items"]), flat(&case["scores"]), flat(&case["certain"]));
        for place in 0..wanted.len() {
            let item = wanted[place].as_i64().unwrap();
            let nothing = item == 0 && scores[place] <= dropped;
            let far = (scores[place] as f64 - expected[place].as_f64().unwrap()).abs();
            let close = far <= golden["tolerance"].as_f64().unwrap();
            if !(nothing || close) || (certain[place] == Value::Bool(true) && items[place] != item) {
                return Err(format!("other lists than expected: {}", text(&case["name"])).into());
            }
        }
    }
    println!("{} cases give the expected lists", cases.len());
    Ok(())
}

fn lists(session: &mut Session, feeds: Vec<(String, Vec<usize>, Vec<i64>)>) -> Result<Lists, Box<dyn Error>> {
    let mut inputs: Vec<(String, SessionInputValue)> = Vec::new();
    for (name, shape, values) in feeds {
        inputs.push((name, Tensor::from_array((shape, values))?.into()));
    }
    let found = session.run(inputs)?;
    let (_, items) = found["items"].try_extract_tensor::<i64>()?;
    let (_, scores) = found["scores"].try_extract_tensor::<f32>()?;
    Ok((items.to_vec(), scores.to_vec()))
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn flat(value: &Value) -> Vec<Value> {
    match value {
        Value::Array(parts) => parts.iter().flat_map(flat).collect(),
        single => vec![single.clone()],
    }
}
