"""The progress of a run on a terminal: what the line says in how many columns, and how it is written."""

from __future__ import annotations

import errno
import fcntl
import io
import logging
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time
from dataclasses import replace

import pytest

from gansemble.scoring.printed import in_columns, table, width_of
from gansemble.training.live_line import ERASE, LiveLine, can_redraw, knows_unicode
from gansemble.training.pace import Pace, in_few_letters, in_words
from gansemble.training.progress import Progress, bar, line, thousands

V1 = Progress(142_318, 2_500_000, 12.4, 190_123.0, 11_400.0, ("mel_distance", 0.4123))


# what it says -----------------------------------------------------------


def test_of_v1s_steps_a_wide_terminal_shows_everything():
    text = line(V1, 120)
    assert text.startswith("step 142,318/2,500,000  5.6 %  █") and len(text) == 120
    assert text.endswith("  12.4 steps/s  2 d 4 h left  mel_distance 0.412  3 h 10 min so far")


@pytest.mark.parametrize(
    ("width", "text"),
    [
        (100, "step 142,318/2,500,000  5.6 %  █░░░░░░░░░░░░░░░░░░░░  12.4 steps/s  2 d 4 h left  mel_distance 0.412"),
        (80, "142,318/2,500,000  5.6 %  ░░░░░░  12.4 steps/s  2 d 4 h left  mel_distance 0.412"),
        (60, "142,318/2,500,000  5.6 %  12.4/s  2 d 4 h  mel_distan. 0.412"),
        (40, "142,318/2,500,000  5.6 %  2 d 4 h left"),
        (35, "142,318/2,500,000  5.6 %  2 d 4 h"),
        (30, "142k/2.5M  5%  2 d 4 h"),
        (20, "142k/2.5M 5% 2d4h"),
        (19, "142k/2.5M 5% 2d4h"),
        (5, "142k/"),
        (0, ""),
    ],
)
def test_what_does_not_fit_is_left_out(width, text):
    found = line(V1, width)
    assert len(found) <= width and found == text


def test_before_the_discriminators_begin_the_time_left_is_a_bound():
    slower = replace(V1, slower=True)
    assert "  at least 2 d 4 h left  " in line(slower, 120)
    assert ">2 d 4 h" in line(slower, 40) or "at least 2 d 4 h left" in line(slower, 40)
    assert all(len(line(slower, width)) <= width for width in range(1, 130))


@pytest.mark.parametrize("left", [0.0, 59.0, 3599.0, 86_399.0, 190_123.0, 9e6])
def test_steps_percentage_and_time_left_stay_at_every_width(left):
    for width in range(19, 140):
        for done in (0, 1, 999, 142_318, 2_499_999):
            text = line(replace(V1, done=done, left=left), width)
            assert len(text) <= width
            assert re.match(rf"(step )?({done:,}/2,500,000|{thousands(done)}/2\.5M) ", text)
            assert "%" in text and (in_words(left) in text or in_few_letters(left) in text)
            assert width < 60 or ("/s" in text and "0.412" in text), "the rate and the loss from 60 columns up"


def test_what_is_not_known_yet_is_not_shown():
    assert line(Progress(0, 100), 30) == "step 0/100  0.0 %  " + "░" * 11
    assert line(Progress(1, 100, rate=0.02), 40, unicode=False) == "step 1/100  1.0 %  ----------  50 s/step"


def test_the_bar_is_of_blocks_or_of_ascii():
    assert bar(0.5, 8) == "████░░░░" and bar(0.5, 8, unicode=False) == "####----" and bar(1, 3) == "███"
    assert line(V1, 100, unicode=False).isascii()


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (999, "999"), (1000, "1k"), (9876, "9.8k"), (142_318, "142k"), (999_999, "999k"), (2_500_000, "2.5M"), (10**12, "1T")],
)  # fmt: skip
def test_thousands_are_cut_and_not_rounded(number, text):
    assert thousands(number) == text


@pytest.mark.parametrize(
    ("seconds", "words", "letters"),
    [
        (0.4, "0 s", "0s"),
        (89, "89 s", "89s"),
        (3599, "59 min", "59m"),
        (3600, "1 h 0 min", "1h00"),
        (7800, "2 h 10 min", "2h10"),
        (86_399, "23 h 59 min", "23h59"),
        (273_600, "3 d 4 h", "3d4h"),
        (40 * 86_400, "40 d 0 h", "40d"),
        (200 * 86_400, "200 d", "200d"),
        (float("inf"), "-", "-"),
    ],
)
def test_times_are_told_in_their_two_largest_units(seconds, words, letters):
    assert (in_words(seconds), in_few_letters(seconds)) == (words, letters)


# the rate ---------------------------------------------------------------


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_after_steps_became_slower_the_time_left_is_right_within_a_minute():
    clock = Clock()
    pace = Pace(0, 1_000_000, clock)
    for done in range(1, 100_001):  # 10 steps a second for nearly three hours
        clock.now += 0.1
        pace.advance(done)
    assert pace.left == pytest.approx(90_000, rel=0.01)
    for done in range(100_001, 100_121):  # then 2 a second, for a minute
        clock.now += 0.5
        pace.advance(done)
    assert pace.left == pytest.approx((1_000_000 - done) / 2, rel=0.01)


def test_steps_of_minutes_are_told_by_the_latest_three():
    clock = Clock()
    pace = Pace(0, 100, clock)
    for done, took in enumerate([500, 100, 100, 100, 100], 1):
        clock.now += took
        pace.advance(done)
    assert pace.rate == pytest.approx(1 / 100)


def test_validation_does_not_slow_the_steps_down_and_is_added_to_what_is_left():
    clock = Clock()
    pace = Pace(0, 1000, clock)
    for done in range(1, 101):
        clock.now += 1.0
        pace.advance(done)
    clock.now += 50.0
    pace.resume()
    clock.now += 1.0
    pace.advance(101)
    assert pace.rate == pytest.approx(1.0)
    assert pace.left == pytest.approx(899 * (1 + 50 / 101))


def test_a_run_that_went_back_has_no_negative_rate():
    clock = Clock()
    pace = Pace(0, 1000, clock)
    for done in (1, 2, 3, 1):
        clock.now += 1.0
        pace.advance(done)
    assert pace.rate is None and pace.left is None


# how it is written ------------------------------------------------------


class Terminal(io.StringIO):
    """A terminal of a given width, whose :attr:`rows` are what one sees."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True

    @property
    def rows(self) -> list[str]:
        rows, column = [""], 0
        for piece in re.split(r"(\x1b\[J|\r|\n)", self.getvalue()):
            if piece == "\x1b[J":
                rows[-1] = rows[-1][:column]
            elif piece == "\r":
                column = 0
            elif piece == "\n":
                rows, column = [*rows, ""], 0
            else:
                rows[-1] = rows[-1][:column] + piece + rows[-1][column + len(piece) :]
                column += len(piece)
        return rows


def live(terminal: Terminal, width: int = 40) -> LiveLine:
    return LiveLine(terminal, lambda columns: f"{columns} columns", lambda: width, Clock())


def test_what_is_printed_appears_above_and_the_end_leaves_one_line(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    handler = logging.StreamHandler(terminal)
    logging.getLogger().addHandler(handler)
    try:
        with live(terminal).shown():
            assert terminal.rows == ["39 columns"], "one stays free"
            print("a line", file=sys.stderr)
            assert terminal.rows == ["a line", "39 columns"]
            logging.getLogger().warning("a warning of a library")
            print("half", end="", file=sys.stderr)
            assert terminal.rows[-1] == "half"
            print(" and half", file=sys.stderr)
        assert terminal.rows == ["a line", "a warning of a library", "half and half", "39 columns", ""]
        print("after", file=sys.stderr)
        assert terminal.rows[-2:] == ["after", ""] and sys.stderr is terminal and handler.stream is terminal
    finally:
        logging.getLogger().removeHandler(handler)


def test_it_is_drawn_a_few_times_a_second_at_most_and_at_once_where_that_is_asked_for():
    terminal = Terminal()
    shown = live(terminal)
    for _ in range(5):
        shown.draw()
    assert terminal.getvalue().count(ERASE) == 1
    shown.draw(now=True)
    assert terminal.getvalue().count(ERASE) == 2


@pytest.mark.parametrize(
    ("environment", "can"), [({"TERM": "xterm"}, True), ({"TERM": "dumb"}, False), ({"TERM": ""}, False), ({}, False)]
)
def test_a_line_is_written_again_on_terminals_that_can(environment, can):
    assert can_redraw(Terminal(), environment) is can and not can_redraw(io.StringIO(), environment)


@pytest.mark.parametrize(
    ("environment", "can"),
    [
        ({"LANG": "en_GB.UTF-8"}, True),
        ({"LANG": "C.UTF-8"}, True),
        ({"LC_ALL": "de_DE.utf8", "LANG": "C"}, True),
        ({"LANG": "C", "LC_CTYPE": "C.UTF-8"}, False),  # as Python sets it where LANG is C
        ({"LANG": "C"}, False),
        ({}, False),
        ({"LANG": "en_US.ISO-8859-1"}, False),
    ],
)
def test_blocks_are_shown_where_the_locale_is_of_utf_8(environment, can):
    assert knows_unicode(Terminal(), environment) is can


def test_the_width_of_a_pipe_is_100():
    assert width_of(io.StringIO()) == 100


# tables -----------------------------------------------------------------


def test_pairs_stand_in_as_many_columns_as_fit():
    pairs = {"snr": "12.5", "mel_distance": "0.4", "pesq": "2.1"}
    assert in_columns(pairs, 37) == ["snr          12.5   mel_distance  0.4", "pesq          2.1"]
    assert in_columns(pairs, 36) == ["snr          12.5", "mel_distance  0.4", "pesq          2.1"]
    assert in_columns({}, 40) == []


def test_a_table_loses_its_last_columns_where_it_does_not_fit():
    head, rows = ("score", "mean", "interval"), [("snr", "12.5", "12.1 … 13.0")]
    assert table(head, rows, 40) == ["score   mean      interval", "snr     12.5   12.1 … 13.0"]
    assert table(head, rows, 20) == ["score   mean", "snr     12.5"] == table(head, rows, 3)


# a real terminal --------------------------------------------------------

RUN = """
import sys, time
from gansemble.scoring.printed import width_of
from gansemble.training.live_line import LiveLine
from gansemble.training.progress import Progress, line

step = 142_318
draw = lambda width: line(Progress(step, 2_500_000, 12.4, 190_123.0), width)
try:
    with LiveLine(sys.stderr, draw, lambda: width_of(sys.stderr)).shown() as live:
        print("ready", file=sys.stderr)
        while True:
            time.sleep(0.01)
            step += 1
            live.draw()
except KeyboardInterrupt:
    print("interrupted", file=sys.stderr)
"""


def resize(descriptor: int, columns: int) -> None:
    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))


def read_until(descriptor: int, wanted: str, limit: float = 20.0) -> str:
    text, end = b"", time.monotonic() + limit
    while wanted.encode() not in text:
        assert time.monotonic() < end, text
        try:
            text += os.read(descriptor, 4096)
        except OSError as error:
            if error.errno != errno.EIO:  # what a terminal gives when its last process has ended
                raise
            break
    return text.decode()


def test_on_a_terminal_it_follows_a_resize_at_once_and_an_interrupt_leaves_one_whole_line():
    main, side = pty.openpty()
    resize(main, 80)
    child = subprocess.Popen([sys.executable, "-c", RUN], stdin=side, stdout=side, stderr=side, start_new_session=True)
    os.close(side)
    try:
        read_until(main, "ready")
        wide = read_until(main, "s so far\r")
        assert all(len(row) <= 79 for row in wide.replace("\x1b[J", "").split("\r"))
        resize(main, 20)
        os.kill(child.pid, signal.SIGWINCH)
        narrow = read_until(main, "2d4h\r")
        assert re.search(r"\r\x1b\[J142k/2\.5M 5% 2d4h\r", narrow)
        os.kill(child.pid, signal.SIGINT)
        rest = read_until(main, "interrupted\r\n")
    finally:
        child.kill()
        child.wait()
        os.close(main)
    assert re.search(r"\r\x1b\[J142k/2\.5M 5% 2d4h\r\ninterrupted\r\n$", rest), rest
