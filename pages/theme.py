"""Gradio's theme and the page head. Colours and styles are in `static/`."""

from pathlib import Path

import gradio as gr

from pages.bundle import bundle_all

STATIC = Path(__file__).parent / "static"
# Not /static: Gradio serves its own fonts and pictures there.
STATIC_PATH = "/console"


def theme() -> gr.themes.Base:
    """Gradio's components with the variables of `base.css`, which holds both colour schemes."""
    # The bundled SemiBold fonts lack ASCII letters, so only these two weights are used.
    sans = gr.themes.LocalFont("IBM Plex Sans", weights=(400, 700))
    mono = gr.themes.LocalFont("IBM Plex Mono", weights=(400, 700))
    base = gr.themes.Base(
        primary_hue="indigo",
        neutral_hue="slate",
        font=(sans, "ui-sans-serif", "system-ui", "sans-serif"),
        font_mono=(mono, "ui-monospace", "Consolas", "monospace"),
        radius_size=gr.themes.sizes.radius_md,
    )
    return base.set(color_accent="var(--ss-accent)", **_both(_THEME_VARIABLES))


def head(root: str) -> str:
    """Links to the stylesheet and the script of the console; `root` is the sub-path of the app."""
    base = f"{root}{STATIC_PATH}"
    bundles = bundle_all(STATIC)
    return (
        f'<link rel="icon" type="image/svg+xml" href="{base}/favicon.svg">'
        f'<link rel="stylesheet" href="{base}/{bundles.style.path}">'
        f'<script type="module" src="{base}/{bundles.script.path}"></script>'
    )


def _both(variables: dict[str, str]) -> dict[str, str]:
    """The same values for light and dark, as the CSS variables differ."""
    return variables | {f"{name}_dark": value for name, value in variables.items()}


_THEME_VARIABLES = {
    "body_background_fill": "var(--ss-bg)",
    "body_text_color": "var(--ss-text)",
    "body_text_color_subdued": "var(--ss-muted)",
    "background_fill_primary": "var(--ss-card)",
    "background_fill_secondary": "var(--ss-inset)",
    "block_background_fill": "var(--ss-card)",
    "block_border_color": "var(--ss-border)",
    "block_label_background_fill": "var(--ss-card)",
    "block_label_text_color": "var(--ss-muted)",
    "block_shadow": "none",
    "border_color_primary": "var(--ss-border)",
    "border_color_accent": "var(--ss-accent)",
    "color_accent_soft": "var(--ss-accent-soft)",
    "link_text_color": "var(--ss-accent)",
    "link_text_color_hover": "var(--ss-accent-strong)",
    "link_text_color_active": "var(--ss-accent-strong)",
    "link_text_color_visited": "var(--ss-accent)",
    "input_background_fill": "var(--ss-card)",
    "input_border_color": "var(--ss-border-strong)",
    "input_border_color_focus": "var(--ss-accent)",
    "input_placeholder_color": "var(--ss-muted)",
    "button_primary_background_fill": "var(--ss-accent)",
    "button_primary_background_fill_hover": "var(--ss-accent-strong)",
    "button_primary_border_color": "transparent",
    "button_primary_text_color": "var(--ss-on-accent)",
    "button_secondary_background_fill": "var(--ss-card)",
    "button_secondary_background_fill_hover": "var(--ss-inset)",
    "button_secondary_border_color": "var(--ss-border-strong)",
    "button_secondary_text_color": "var(--ss-text)",
    "button_border_width": "1px",
    "table_border_color": "var(--ss-border)",
    "table_even_background_fill": "var(--ss-card)",
    "table_odd_background_fill": "var(--ss-inset)",
    "table_row_focus": "var(--ss-accent-soft)",
    "code_background_fill": "var(--ss-inset)",
}
