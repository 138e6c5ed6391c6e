//! A plot of how long answers take over time, with the moves of the server that gives them.

use crate::measure::median;
use anyhow::Result;
use maize_tests::Answer;
use plotters::prelude::*;
use std::path::Path;
use std::time::Duration;

/// Time on the plot for which there is one point of each line, s.
const STEP: f64 = 0.05;
/// Where nothing was asked for so long, s, lines are interrupted.
const INTERRUPTION: f64 = 4.0 * STEP;
/// In pixels.
const SIZE: (u32, u32) = (1100, 480);
const MEDIAN: RGBColor = RGBColor(31, 119, 180);
const LONGEST: RGBColor = RGBColor(214, 39, 40);
const MOVE: RGBColor = RGBColor(120, 120, 120);

/// A move of the server.
#[derive(Clone, Debug)]
pub struct Move {
    /// What to write there.
    pub label: String,
    /// When it was asked for, from the beginning of the measurement.
    pub begun: Duration,
    /// When it was known to be over.
    pub ended: Duration,
}

/// Median and longest time of the answers that were asked for in each step: when, and both in ms.
fn steps(answers: &[Answer]) -> Vec<(f64, f64, f64)> {
    let mut answers: Vec<(f64, f64)> =
        answers.iter().map(|answer| (answer.sent.as_secs_f64(), answer.took.as_secs_f64() * 1e3)).collect();
    answers.sort_by(|one, other| one.0.total_cmp(&other.0));
    let of_a_step = answers.chunk_by(|one, other| (one.0 / STEP).floor() == (other.0 / STEP).floor());
    of_a_step
        .map(|step| {
            let longest = step.iter().map(|answer| answer.1).fold(0.0, f64::max);
            (step[0].0, median(step.iter().map(|answer| answer.1)), longest)
        })
        .collect()
}

/// Writes an SVG.
///
/// # Errors
/// If the file cannot be written.
pub fn plot(file: &Path, title: &str, answers: &[Answer], moves: &[Move]) -> Result<()> {
    let steps = steps(answers);
    let end = steps.last().map_or(1.0, |step| step.0);
    let lowest = steps.iter().map(|step| step.1).fold(f64::INFINITY, f64::min) / 2.0;
    let highest = steps.iter().map(|step| step.2).fold(0.0, f64::max) * 4.0;
    let area = SVGBackend::new(file, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption(title, ("sans-serif", 18))
        .margin(14)
        .x_label_area_size(44)
        .y_label_area_size(64)
        .build_cartesian_2d(0.0..end, (lowest..highest).log_scale())?;
    chart
        .configure_mesh()
        .x_desc("time, s")
        .y_desc("time for an answer, ms")
        .y_label_formatter(&|milliseconds| format!("{milliseconds}"))
        .bold_line_style(BLACK.mix(0.12))
        .light_line_style(TRANSPARENT)
        .label_style(("sans-serif", 14))
        .draw()?;
    let span = |one: &Move| (one.begun.as_secs_f64(), one.ended.as_secs_f64());
    let bands = moves
        .iter()
        .map(span)
        .map(|(begun, ended)| Rectangle::new([(begun, lowest), (ended, highest)], MOVE.mix(0.2).filled()));
    chart
        .draw_series(bands)?
        .label("move asked for until known to be over")
        .legend(|(x, y)| Rectangle::new([(x, y - 5), (x + 18, y + 5)], MOVE.mix(0.2).filled()));
    let lines = [("longest of 50 ms", LONGEST), ("median of 50 ms", MEDIAN)];
    for (index, (name, colour)) in lines.into_iter().enumerate() {
        let value = |step: &(f64, f64, f64)| (step.0, if index == 0 { step.2 } else { step.1 });
        let parts = steps.chunk_by(|one, other| other.0 - one.0 < INTERRUPTION);
        chart
            .draw_series(parts.map(|part| PathElement::new(part.iter().map(value).collect::<Vec<_>>(), colour)))?
            .label(name)
            .legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 18, y)], colour));
    }
    let labels = moves
        .iter()
        .map(|one| Text::new(one.label.clone(), (span(one).0 + end / 200.0, highest / 1.3), ("sans-serif", 14)));
    chart.draw_series(labels)?;
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .background_style(WHITE.mix(0.85))
        .border_style(BLACK.mix(0.3))
        .label_font(("sans-serif", 14))
        .draw()?;
    area.present()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_has_the_median_and_the_longest_of_its_answers() {
        let answer =
            |sent: u64, took: u64| Answer { sent: Duration::from_millis(sent), took: Duration::from_millis(took) };
        let steps = steps(&[answer(61, 5), answer(1, 1), answer(3, 2), answer(5, 9)]);
        assert_eq!(steps, [(0.001, 2.0, 9.0), (0.061, 5.0, 5.0)]);
    }
}
