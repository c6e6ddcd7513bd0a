//! Small files of the rich formats, made here.

use std::fmt::Write as _;
use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

/// Base64.
pub fn base64(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

/// A PDF with a line of text on each page.
pub fn pdf(pages: &[&str]) -> Vec<u8> {
    let kids: Vec<String> = (0..pages.len()).map(|page| format!("{} 0 R", 4 + 2 * page)).collect();
    let mut objects = vec![
        "<</Type/Catalog/Pages 2 0 R>>".to_owned(),
        format!("<</Type/Pages/Count {}/Kids[{}]>>", pages.len(), kids.join(" ")),
        "<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>".to_owned(),
    ];
    for (page, text) in pages.iter().enumerate() {
        let content = 5 + 2 * page;
        objects.push(format!(
            "<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Resources<</Font<</F1 3 0 R>>>>/Contents {content} 0 R>>"
        ));
        let stream = if text.is_empty() { String::new() } else { format!("BT /F1 12 Tf 72 720 Td ({text}) Tj ET") };
        objects.push(format!("<</Length {}>>stream\n{stream}\nendstream", stream.len()));
    }
    let mut file = b"%PDF-1.4\n".to_vec();
    let mut places = Vec::new();
    for (number, object) in objects.iter().enumerate() {
        places.push(file.len());
        file.extend(format!("{} 0 obj\n{object}\nendobj\n", number + 1).into_bytes());
    }
    let table = file.len();
    file.extend(format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1).into_bytes());
    for place in places {
        file.extend(format!("{place:010} 00000 n \n").into_bytes());
    }
    let size = objects.len() + 1;
    file.extend(format!("trailer\n<</Size {size}/Root 1 0 R>>\nstartxref\n{table}\n%%EOF\n").into_bytes());
    file
}

/// A C-CDA document with sections: code, title, narrative.
pub fn cda(sections: &[(&str, &str, &str)]) -> String {
    let section = |(code, title, text): &(&str, &str, &str)| {
        format!(
            "<component><section><code code=\"{code}\" codeSystem=\"2.16.840.1.113883.6.1\"/><title>{title}</title>\
             <text>{text}</text></section></component>"
        )
    };
    let sections: String = sections.iter().map(section).collect();
    document(&format!("<component><structuredBody>{sections}</structuredBody></component>"))
}

/// A C-CDA document that holds another file.
pub fn unstructured(media_type: &str, bytes: &[u8]) -> String {
    document(&format!(
        "<component><nonXMLBody><text mediaType=\"{media_type}\" representation=\"B64\">{}</text></nonXMLBody></component>",
        base64(bytes)
    ))
}

fn document(body: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ClinicalDocument xmlns=\"urn:hl7-org:v3\">\
         <typeId root=\"2.16.840.1.113883.1.3\" extension=\"POCD_HD000040\"/><title>Note</title>{body}</ClinicalDocument>"
    )
}

/// A C-CDA document whose entities would multiply to gigabytes.
pub fn entity_bomb() -> String {
    let mut entities = "<!ENTITY a \"aaaaaaaaaa\">".to_owned();
    for (name, of) in "bcdefghij".chars().zip("abcdefghi".chars()) {
        let ten = format!("&{of};").repeat(10);
        write!(entities, "<!ENTITY {name} \"{ten}\">").expect("written");
    }
    let document = cda(&[("1", "Note", "&j;")]);
    document.replacen('\n', &format!("\n<!DOCTYPE ClinicalDocument [{entities}]>"), 1)
}

/// A FHIR document.
pub fn fhir_document() -> String {
    json!({
        "resourceType": "Bundle", "type": "document",
        "entry": [{"resource": {
            "resourceType": "Composition", "status": "final", "title": "Report",
            "section": [{"title": "Impression", "text": {"status": "generated",
                "div": "<div xmlns=\"http://www.w3.org/1999/xhtml\"><p>Stable disease.</p></div>"}}]
        }}]
    })
    .to_string()
}

/// Compresses.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).expect("written");
    encoder.finish().expect("gzip")
}

/// A Word document with this body.
pub fn docx(body: &str) -> Vec<u8> {
    let document = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><w:document \
         xmlns:w=\"http://schemas.openxmlformats.org/wordprocessingml/2006/main\"><w:body>{body}</w:body></w:document>"
    );
    zip(&[
        ("[Content_Types].xml", b"<?xml version=\"1.0\"?><Types xmlns=\"http://schemas.openxmlformats.org/package/2006/content-types\"><Override PartName=\"/word/document.xml\" ContentType=\"application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml\"/></Types>"),
        ("_rels/.rels", b"<?xml version=\"1.0\"?><Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\"><Relationship Id=\"r1\" Type=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument\" Target=\"word/document.xml\"/></Relationships>"),
        ("word/document.xml", document.as_bytes()),
    ])
}

/// A zip with these files.
pub fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in files {
        writer.start_file(*name, zip::write::SimpleFileOptions::default()).expect("a file");
        writer.write_all(bytes).expect("written");
    }
    writer.finish().expect("a zip").into_inner()
}
