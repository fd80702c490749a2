Register-ArgumentCompleter -Native -CommandName snow-onboard -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)

    # Passed on as it was typed, and nothing of it evaluated. Without an answer PowerShell completes files itself.
    $words = @('--') + @($commandAst.CommandElements | Where-Object { $_.Extent.EndOffset -lt $cursorPosition } | ForEach-Object {
        if ($_ -is [System.Management.Automation.Language.StringConstantExpressionAst]) { $_.Value } else { $_.Extent.Text }
    })
    if ($wordToComplete) {
        $words += $wordToComplete
    } elseif ($PSVersionTable.PSVersion -lt [version]'7.3.0') {
        # These leave an empty argument out.
        $words += '""'
    } else {
        $words += ''
    }

    $before = $env:_SNOW_ONBOARD_COMPLETE
    try {
        $env:_SNOW_ONBOARD_COMPLETE = 'powershell'
        $answers = & snow-onboard @words 2>$null
    } finally {
        $env:_SNOW_ONBOARD_COMPLETE = $before
    }
    $answers | Where-Object { $_ } | ForEach-Object {
        $value, $help = $_ -split "`t", 2
        if (-not $help) { $help = $value }
        [System.Management.Automation.CompletionResult]::new($value, $value, 'ParameterValue', $help)
    }
}
