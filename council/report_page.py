"""The printed page of a report, around its words: no script, nothing fetched."""

from typing import Final

PAGE: Final = """<!doctype html>
<html lang="{language}"><head><meta charset="utf-8"><title>{title}</title>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<style>
body {{ font: 11pt/1.45 system-ui, sans-serif; max-width: 48em; margin: 1.5em auto; padding: 0 1em; }}
h1 {{ font-size: 1.5em; margin: 0 0 .5em; }} h2 {{ font-size: 1.05em; margin: 1em 0 .2em; }}
ul, ol {{ margin: 0; padding-left: 1.4em; }} ol.limits {{ list-style: lower-alpha; }}
.light {{ display: flex; align-items: center; gap: 1em; border: 2px solid; padding: .6em; margin: 1em 0; }}
.lamps span {{ display: inline-block; width: 1.6em; height: 1.6em; border: 3px solid #444; border-radius: 50%; }}
.lamps span {{ opacity: .15; }}
.lamps .on {{ opacity: 1; outline: 3px solid #000; outline-offset: 2px; }}
.red {{ background: #b00020; }} .yellow {{ background: #f2b600; }} .green {{ background: #0a7d32; }}
li {{ overflow-wrap: anywhere; }} * {{ print-color-adjust: exact; }}
</style></head><body>
<h1>{title}</h1>
<h2>{limits_title}</h2><ol class="limits">{limits}</ol>
<p class="light" role="status"><span class="lamps">{lamps}</span><strong>{verdict}</strong></p>
{parts}
<p><small>{printed}</small></p>
</body></html>
"""
