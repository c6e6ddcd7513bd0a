//! What a person decides on a machine's answer, and what follows from it. Pure rules.

use std::fmt;

use time::OffsetDateTime;

use super::document::{About, ReportKind};
use super::label::{Category, Label};

/// Who decides: the practitioner of the access token.
#[derive(Clone, PartialEq, Eq)]
pub struct Reviewer {
    /// `Practitioner/17`, or an absolute URL that ends so.
    pub practitioner: String,
    /// What the person is called.
    pub name: Option<String>,
}

impl fmt::Debug for Reviewer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reviewer(…)")
    }
}

/// What a person says of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is right; its category may be put right.
    Confirm {
        /// How the disease behaved, if that is not what the answer says.
        category: Option<Category>,
    },
    /// It is wrong; what is right may be said.
    Refute {
        /// Whether the patient responded.
        label: Option<Label>,
        /// How.
        category: Option<Category>,
    },
}

impl Verdict {
    /// The code used in SQL and JSON.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Confirm { .. } => "confirmed",
            Self::Refute { .. } => "refuted",
        }
    }
}

/// What holds after a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ruling {
    /// Whether the machine's answer stands.
    pub confirmed: bool,
    /// Whether the patient responded; none if the answer is refuted and nobody says what is right.
    pub label: Option<Label>,
    /// How; [`Category::None`] where nobody says.
    pub category: Category,
}

impl Ruling {
    /// What the person states in the place of a refuted answer, if it is a response or none.
    pub fn corrected(&self) -> Option<(Label, Category)> {
        let stated = self.label.filter(|label| !self.confirmed && *label != Label::NotStated);
        stated.map(|label| (label, self.category))
    }
}

/// Why a decision cannot be taken as it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// A complete response that did not respond.
    #[error("the category does not go with the label; docs/api.md lists those that do")]
    CategoryOfOtherLabel,
    /// A category alone corrects nothing.
    #[error("a refuted answer's category goes with its right label: give label too")]
    CategoryWithoutLabel,
    /// The label is the one that it refutes.
    #[error("the label is the one that it refutes: to put the category right, confirm with the category")]
    SameLabel,
}

/// What a verdict on an answer means.
pub fn rule(verdict: Verdict, label: Label, category: Category) -> Result<Ruling, Unfit> {
    match verdict {
        Verdict::Confirm { category: refined } => {
            let category = refined.unwrap_or(category);
            if refined.is_some_and(|refined| !refined.fits(label)) {
                return Err(Unfit::CategoryOfOtherLabel);
            }
            Ok(Ruling { confirmed: true, label: Some(label), category })
        }
        Verdict::Refute { label: None, category: Some(_) } => Err(Unfit::CategoryWithoutLabel),
        Verdict::Refute { label: None, category: None } => {
            Ok(Ruling { confirmed: false, label: None, category: Category::None })
        }
        Verdict::Refute { label: Some(right), .. } if right == label => Err(Unfit::SameLabel),
        Verdict::Refute { label: Some(right), category } => match category {
            Some(category) if !category.fits(right) => Err(Unfit::CategoryOfOtherLabel),
            category => {
                Ok(Ruling { confirmed: false, label: Some(right), category: category.unwrap_or(Category::None) })
            }
        },
    }
}

/// A decision that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// By whom.
    pub reviewer: Reviewer,
    /// Whether it confirms the machine's answer.
    pub confirmed: bool,
    /// The version of the answer's Observation that it was taken on.
    pub observation_version: i32,
    /// When.
    pub decided_at: OffsetDateTime,
}

/// How a cancer trends, as mCODE's Cancer Disease Status says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trend {
    /// Better.
    Improved,
    /// Held.
    Stable,
    /// Worse.
    Worsened,
}

/// Why there is no Cancer Disease Status beside an answer that a person stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoDiseaseStatus {
    /// It is about something else.
    #[error("the report is not about a cancer")]
    NotCancer,
    /// The category says nothing of a trend.
    #[error("the category tells no trend: no-response says that nothing helped, mixed says both")]
    NoTrend,
    /// Nobody says how the disease behaved.
    #[error("no category is given")]
    NoCategory,
    /// Whose cancer it is cannot be told.
    #[error("the report names no subject")]
    NoSubject,
    /// When it was so cannot be told.
    #[error("the report has no date that FHIR can hold")]
    NoDate,
}

/// The trend that mCODE's Cancer Disease Status has for an answer, if it can have one.
///
/// A complete response is `improved`: mCODE's preferred values do not tell it from a partial one. `no-response` and `mixed`
/// have none: "undetermined" would say that it could not be told, and it was told.
pub fn disease_status(cancer: bool, category: Category, about: &About) -> Result<Trend, NoDiseaseStatus> {
    if !cancer {
        return Err(NoDiseaseStatus::NotCancer);
    }
    let trend = match category {
        Category::Complete | Category::Partial => Trend::Improved,
        Category::Stable => Trend::Stable,
        Category::Progressive => Trend::Worsened,
        Category::NoResponse | Category::Mixed => return Err(NoDiseaseStatus::NoTrend),
        Category::Indeterminate | Category::None => return Err(NoDiseaseStatus::NoCategory),
    };
    // A reference into the report itself means nothing outside of it.
    let names = |reference: &str| !reference.trim().is_empty() && !reference.starts_with('#');
    let subject = about.subject.as_ref().ok_or(NoDiseaseStatus::NoSubject)?;
    if !subject.reference.as_deref().is_some_and(names) && subject.identifier.is_none() {
        return Err(NoDiseaseStatus::NoSubject);
    }
    about.effective.as_ref().and_then(|effective| effective.known_at()).ok_or(NoDiseaseStatus::NoDate)?;
    Ok(trend)
}

impl ReportKind {
    /// The code used in SQL and in a search by `category`: that of `observation-category`.
    pub const fn category(self) -> &'static str {
        match self {
            Self::Imaging => "imaging",
            Self::Pathology | Self::Laboratory => "laboratory",
            Self::Clinical => "exam",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::document::{Effective, Reference};

    #[test]
    fn a_verdict_means_what_it_says_or_is_refused() {
        use Category::{Complete, Partial, Progressive, Stable};
        let confirm = |category| Verdict::Confirm { category };
        let refute = |label, category| Verdict::Refute { label, category };
        let ruling = |confirmed, label, category| Ok(Ruling { confirmed, label, category });
        for (verdict, expected) in [
            (confirm(None), ruling(true, Some(Label::Responded), Partial)),
            (confirm(Some(Complete)), ruling(true, Some(Label::Responded), Complete)),
            (confirm(Some(Progressive)), Err(Unfit::CategoryOfOtherLabel)),
            (refute(None, None), ruling(false, None, Category::None)),
            (refute(None, Some(Stable)), Err(Unfit::CategoryWithoutLabel)),
            (refute(Some(Label::Responded), Some(Stable)), Err(Unfit::SameLabel)),
            (refute(Some(Label::NotResponded), Some(Stable)), Err(Unfit::CategoryOfOtherLabel)),
            (refute(Some(Label::NotResponded), None), ruling(false, Some(Label::NotResponded), Category::None)),
            (
                refute(Some(Label::NotResponded), Some(Progressive)),
                ruling(false, Some(Label::NotResponded), Progressive),
            ),
            (refute(Some(Label::NotStated), None), ruling(false, Some(Label::NotStated), Category::None)),
        ] {
            assert_eq!(rule(verdict, Label::Responded, Partial), expected, "{verdict:?}");
        }
        let corrected = |verdict| rule(verdict, Label::Responded, Partial).expect("a ruling").corrected();
        assert_eq!(corrected(confirm(None)), None);
        assert_eq!(corrected(refute(Some(Label::NotStated), None)), None);
        assert_eq!(corrected(refute(Some(Label::NotResponded), None)), Some((Label::NotResponded, Category::None)));
    }

    #[test]
    fn a_disease_status_needs_a_cancer_a_trend_a_patient_and_a_date() {
        let subject = Reference { reference: Some("Patient/1".to_owned()), identifier: None };
        let contained = Reference { reference: Some("#p".to_owned()), identifier: None };
        let about = About {
            subject: Some(subject),
            effective: Some(Effective::DateTime("2026-02-03".to_owned())),
            ..About::default()
        };
        for (category, expected) in [
            (Category::Complete, Ok(Trend::Improved)),
            (Category::Partial, Ok(Trend::Improved)),
            (Category::Stable, Ok(Trend::Stable)),
            (Category::Progressive, Ok(Trend::Worsened)),
            (Category::NoResponse, Err(NoDiseaseStatus::NoTrend)),
            (Category::Mixed, Err(NoDiseaseStatus::NoTrend)),
            (Category::None, Err(NoDiseaseStatus::NoCategory)),
        ] {
            assert_eq!(disease_status(true, category, &about), expected, "{category:?}");
        }
        let of = |about: &About| disease_status(true, Category::Stable, about);
        assert_eq!(disease_status(false, Category::Stable, &about), Err(NoDiseaseStatus::NotCancer));
        assert_eq!(of(&About { subject: None, ..about.clone() }), Err(NoDiseaseStatus::NoSubject));
        assert_eq!(of(&About { subject: Some(contained), ..about.clone() }), Err(NoDiseaseStatus::NoSubject));
        assert_eq!(of(&About { effective: None, ..about.clone() }), Err(NoDiseaseStatus::NoDate));
        let undated = Some(Effective::DateTime("2026-02-03T10:00".to_owned()));
        assert_eq!(of(&About { effective: undated, ..about }), Err(NoDiseaseStatus::NoDate));
    }
}
