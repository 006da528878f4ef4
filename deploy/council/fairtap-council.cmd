@echo off
rem Windows: a double click opens this in a console.
cd /d "%~dp0"
where py >nul 2>nul && (py -3 start.py %*) || (python start.py %*)
