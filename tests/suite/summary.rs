//! Reports never mix what must not be mixed, and are pages that need nothing else.

use crate::cli::{hindsight, stderr, stdout};
use crate::report::{results, run, save, whole};
use hindsight::experiment::RunRecord;
use hindsight::report::figure::{Bar, Cloud, Curve, Field, bars, heat_map, lines, points};
use hindsight::report::groups::groups;
use hindsight::report::html::Page;
use hindsight::report::{Grid, ReadError, Results, Source, Spread, Summary, tsne};
use serde_json::{Value, json};
use std::fs;

fn with_lambda(seed: u64, lambda: f64) -> RunRecord {
    let mut run = run("hal", seed, 0.7);
    run.settings.lambda = lambda;
    run
}

fn source(folder: &str, runs: Vec<RunRecord>) -> Source {
    Source { folder: folder.into(), results: results(runs), losses: vec![] }
}

fn summary_text(sources: &[Source]) -> String {
    Summary::new(sources, false).text()
}

#[test]
fn runs_of_different_settings_are_never_in_one_mean() {
    let runs = [with_lambda(0, 0.1), with_lambda(1, 0.1), with_lambda(0, 1.0), run("er", 0, 0.6)];
    let groups = groups(&runs);
    let found: Vec<(&str, usize)> = groups.iter().map(|group| (group.label.as_str(), group.runs.len())).collect();
    assert_eq!(found, [("HAL (lambda 0.1)", 2), ("HAL (lambda 1.0)", 1), ("ER-Ring", 1)]);
}

#[test]
fn streams_of_different_sizes_are_in_different_tables() {
    let mut short = run("hal", 0, 0.9);
    short.settings.tasks = 5;
    let text = summary_text(&[source("a", vec![run("hal", 0, 0.7), short])]);
    assert!(text.contains("20 tasks of 1000") && text.contains("5 tasks of 1000"), "{text}");
    assert!(text.contains("70.0 ± 0.00") && text.contains("90.0 ± 0.00"), "{text}");
}

#[test]
fn a_run_that_is_in_two_folders_counts_once_and_one_that_differs_is_not_averaged_in() {
    let twice = [source("a", vec![run("hal", 0, 0.7)]), source("b", vec![run("hal", 0, 0.7), run("hal", 1, 0.9)])];
    assert!(summary_text(&twice).contains("80.0 ± 10.00"), "{}", summary_text(&twice));
    let differs = [source("a", vec![run("hal", 0, 0.7)]), source("b", vec![run("hal", 0, 0.9)])];
    let text = summary_text(&differs);
    assert!(text.contains("HAL (again, 1 of 2)") && text.contains("70.0 ± 0.00") && text.contains("90.0"), "{text}");
}

#[test]
fn the_first_format_is_still_read_and_a_later_one_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let mut value: Value = serde_json::from_str(&results(vec![whole("hal", 0, 0.7)]).to_json()).unwrap();
    let write = |value: &Value| fs::write(home.path().join("results.json"), value.to_string()).unwrap();
    value["schema"] = json!(1);
    value["manifest"]["settings"] = value["manifest"]["settings"]["hal"].take();
    // Fields that the first format did not have.
    value["runs"][0]["settings"].as_object_mut().unwrap().remove("interpolation");
    write(&value);
    assert_eq!(Results::read(home.path()).unwrap(), results(vec![whole("hal", 0, 0.7)]));
    value["schema"] = json!(99);
    write(&value);
    assert!(matches!(Results::read(home.path()), Err(ReadError::Schema { found: 99, .. })));
    fs::write(home.path().join("results.json"), "{").unwrap();
    assert!(matches!(Results::read(home.path()), Err(ReadError::Damaged { .. })));
}

#[test]
fn report_reads_what_it_can_and_names_what_it_cannot() {
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name).to_str().unwrap().to_owned();
    save(&home.path().join("run"), vec![whole("hal", 0, 0.7)]).unwrap();
    let output = hindsight(&["report", &at("run"), &at("nowhere"), "--out", &at("page.html")]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("nowhere") && stderr(&output).contains("1 of 2 folders"), "{}", stderr(&output));
    assert!(stdout(&output).contains("70.0 ± 0.00"));
    assert!(fs::read_to_string(at("page.html")).unwrap().contains("</html>"));
    let again = hindsight(&["report", &at("run"), "--out", &at("page.html")]);
    assert!(stderr(&again).contains("--overwrite"), "{}", stderr(&again));
    assert!(hindsight(&["report", &at("run"), "--overwrite", "--out", &at("page.html")]).status.success());
}

#[test]
fn a_page_needs_no_network_no_script_and_follows_the_colour_scheme() {
    let sources = [source("a", vec![run("hal", 0, 0.7), run("er", 0, 0.6)])];
    let page = Summary::new(&sources, false).page().render();
    for absent in ["http://", "https://", "<script", "src=", "@import", "<link"] {
        // The name of SVG's namespace is no address that is fetched.
        let text = page.replace("http://www.w3.org/2000/svg", "");
        assert!(!text.contains(absent), "{absent}");
    }
    for present in ["<html lang=\"en\">", "viewport", "prefers-color-scheme:dark", "@media print", "scope=\"row\""] {
        assert!(page.contains(present), "{present}");
    }
    assert_eq!(page.matches("<svg").count(), page.matches("<title>").count() - 1, "every figure has a title");
}

#[test]
fn what_users_wrote_is_text_on_the_page() {
    let mut page = Page::new("<b>");
    page.code("a && b < c");
    let mut grid = Grid::new(&["x|y"]);
    grid.push(vec!["<script>".into()]);
    page.table(&grid);
    let html = page.render();
    assert!(html.contains("&lt;b&gt;") && html.contains("a &amp;&amp; b &lt; c") && !html.contains("<script>"));
    assert!(grid.to_markdown().starts_with("| x\\|y |"));
}

#[test]
fn figures_draw_what_they_are_given() {
    let spread = |mean| Spread { mean, sd: 1.0 };
    let curve = Curve { name: "ER & co".into(), points: vec![(1.0, spread(50.0)), (2.0, spread(f64::NAN))] };
    let text = lines("t", "x", "y", &[curve]).inline();
    assert!(text.contains("ER &amp; co") && !text.contains("NaN"), "{text}");
    let text = bars("t", &[Bar { name: "a".into(), value: 2.0, label: "2 s".into() }]).standalone();
    assert!(text.contains("2 s") && text.contains("<style>"));
    let cloud = Cloud { name: "7".into(), points: vec![(0.0, 0.0), (1.0, 2.0)], large: vec![(0.5, 1.0)] };
    assert_eq!(points("t", &[cloud]).inline().matches("<circle").count(), 3);
    let field = Field::counted("row", "column", vec![vec![0.125, f64::NAN], vec![1.0, 0.0]]);
    let text = heat_map("t", &field).inline();
    assert!(text.contains(">12<") && text.contains(">100<") && text.contains(">-<"), "{text}");
}

#[test]
fn t_sne_keeps_clusters_apart_and_comes_out_the_same_again() {
    let point = |i: usize| {
        let centre = if i.is_multiple_of(2) { 0.0 } else { 10.0 };
        (0..8).map(|d| centre + ((i * 8 + d) as f32 * 0.7).sin()).collect::<Vec<f32>>()
    };
    let all: Vec<Vec<f32>> = (0..40).map(point).collect();
    let found = tsne(&all);
    // However many threads there are and however busy they are: the order of every sum is fixed.
    let several = rayon::ThreadPoolBuilder::new().num_threads(4).build().unwrap();
    for _ in 0..5 {
        assert_eq!(found, several.install(|| tsne(&all)));
    }
    let distance = |a: usize, b: usize| (found[a].0 - found[b].0).hypot(found[a].1 - found[b].1);
    let nearest =
        |i: usize| (0..40).filter(|j| *j != i).min_by(|a, b| distance(i, *a).total_cmp(&distance(i, *b))).unwrap();
    assert!((0..40).filter(|&i| nearest(i) % 2 == i % 2).count() >= 38);
}
