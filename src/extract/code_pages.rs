//! The code pages of DOS, which the web's charsets leave out.

/// A code page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CodePage {
    /// 437.
    Us,
    /// 850.
    WesternEurope,
}

impl CodePage {
    /// Its name in a sentence.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Us => "code page 437",
            Self::WesternEurope => "code page 850",
        }
    }

    /// The characters of bytes 0x80 to 0xff.
    const fn upper(self) -> &'static str {
        match self {
            Self::Us => {
                "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐\
         └┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}"
            }
            Self::WesternEurope => {
                "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜø£Ø×ƒáíóúñÑªº¿®¬½¼¡«»░▒▓│┤ÁÂÀ©╣║╗╝¢¥┐\
         └┴┬├─┼ãÃ╚╔╩╦╠═╬¤ðÐÊËÈıÍÎÏ┘┌█▄¦Ì▀ÓßÔÒõÕµþÞÚÛÙýÝ¯´\u{ad}±‗¾¶§÷¸°¨·¹³²■\u{a0}"
            }
        }
    }

    /// The text of these bytes; there is none that is no character.
    pub(super) fn decode(self, bytes: &[u8]) -> String {
        let upper: Vec<char> = self.upper().chars().collect();
        let character = |byte: &u8| upper.get(usize::from(*byte).wrapping_sub(0x80)).copied();
        bytes.iter().map(|byte| character(byte).unwrap_or(char::from(*byte))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_a_character() {
        let bytes: Vec<u8> = (0..=255).collect();
        for page in [CodePage::Us, CodePage::WesternEurope] {
            assert_eq!(page.upper().chars().count(), 128);
            assert_eq!(page.decode(&bytes).chars().count(), 256);
            assert_eq!(page.decode(b"5 \xe6m \xf1 \xf8C"), "5 µm ± °C");
        }
    }
}
