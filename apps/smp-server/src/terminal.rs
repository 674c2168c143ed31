//! What is said to and asked of the person at the terminal.

use std::io::{BufRead, Write};

pub(crate) use smp_program::terminal::say;

use crate::failure::Failure;

/// Asks for a line; an empty answer stands for `usual`.
pub(crate) fn ask(answers: &mut dyn BufRead, question: &str, usual: &str) -> Result<String, Failure> {
    let mut out = std::io::stdout().lock();
    let _ = write!(out, "{question} ({usual}): ").and_then(|()| out.flush());
    let mut answer = String::new();
    let length = answers.read_line(&mut answer).map_err(|e| Failure::new(format!("no answer: {e}")))?;
    if length == 0 {
        return Err(Failure::new(
            "no answer: the input ended. Nothing was changed. With -y nothing is asked",
        ));
    }
    let answer = answer.trim();
    Ok(if answer.is_empty() { usual.to_owned() } else { answer.to_owned() })
}

/// Asks until the answer is yes or no.
pub(crate) fn ask_yes(answers: &mut dyn BufRead, question: &str, usual: bool) -> Result<bool, Failure> {
    loop {
        match ask(answers, question, if usual { "Yn" } else { "yN" })?.to_lowercase().as_str() {
            "yn" => return Ok(usual),
            "y" | "yes" => return Ok(true),
            "n" | "no" => return Ok(false),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers() {
        for (text, usual, answer) in
            [("\n", true, true), ("\n", false, false), ("what\nYES\n", false, true), ("n\n", true, false)]
        {
            assert_eq!(ask_yes(&mut text.as_bytes(), "?", usual).unwrap(), answer, "{text}");
        }
        assert_eq!(ask(&mut "  a b \n".as_bytes(), "?", "x").unwrap(), "a b");
        assert!(ask_yes(&mut "".as_bytes(), "?", true).err().unwrap().to_string().contains("-y"));
        assert!(ask_yes(&mut "maybe\n".as_bytes(), "?", true).is_err());
    }
}
