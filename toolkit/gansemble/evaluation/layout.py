"""The frame of every page: its head, with the styles that all pages share, and the place of its body."""

from __future__ import annotations

#: ``{title}`` and ``{body}`` stand for what a page is called and holds.
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root { color-scheme: light; --ink: #1f2937; --soft: #6b7280; --line: #e5e7eb; --paper: #ffffff; --wash: #f9fafb; }
* { box-sizing: border-box; }
body { font: 15px/1.5 system-ui, "Segoe UI", "Helvetica Neue", Arial, sans-serif; color: var(--ink); background: var(--wash); margin: 0 auto; max-width: 1240px; padding: 0 20px 60px; }
header { padding: 28px 0 4px; } h1 { margin: 0; font-size: 28px; } header p { color: var(--soft); margin: 4px 0 0; }
h2 { font-size: 19px; margin: 34px 0 10px; } h3 { font-size: 14px; margin: 0 0 8px; font-weight: 600; }
section { background: var(--paper); border: 1px solid var(--line); border-radius: 8px; padding: 12px 14px; margin-bottom: 12px; }
.wall { display: grid; grid-template-columns: repeat(4, 1fr); gap: 14px; } .wall figure { min-width: 0; } .row { display: flex; gap: 14px; overflow-x: auto; } figure { margin: 0; flex: 1 1 0; min-width: 205px; max-width: 560px; }
figcaption { font-size: 13px; font-weight: 600; margin-bottom: 4px; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; } figcaption small { display: block; font-weight: 400; color: var(--soft); min-height: 1.3em; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
figure img { width: 100%; display: block; } audio { width: 100%; height: 34px; margin-top: 4px; } img.wide { width: 100%; background: #fff; border: 1px solid var(--line); border-radius: 8px; }
table { border-collapse: collapse; background: var(--paper); } th, td { padding: 6px 14px; border: 1px solid var(--line); text-align: right; font-variant-numeric: tabular-nums; }
tbody th { text-align: left; font-weight: 500; } .scores tbody th { cursor: help; } td small { display: block; color: var(--soft); font-size: 11.5px; } td.best { background: #ecfdf5; font-weight: 600; } td.best small { font-weight: 400; }
.dot { display: inline-block; width: 9px; height: 9px; border-radius: 50%; margin-right: 6px; }
tr.best th, tr.best td { background: #ecfdf5; } .wide-table { overflow-x: auto; } .wide-table th, .wide-table td { white-space: nowrap; } .output { font-size: 16px; } .text { text-align: left; }
.note { color: var(--soft); font-size: 13px; } details { margin: 8px 0; } summary { cursor: pointer; } pre { background: var(--paper); border: 1px solid var(--line); border-radius: 8px; padding: 12px; overflow-x: auto; font-size: 12.5px; }
</style></head><body>
{body}
</body></html>
"""
