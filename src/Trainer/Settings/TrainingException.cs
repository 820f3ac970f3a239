namespace ProxyTune.Trainer.Settings;

/// <summary>An expected failure of a run: wrong settings, broken files, a loss that is not a number. The message names file, field, value and accepted range.</summary>
public sealed class TrainingException(string message, Exception? inner = null) : Exception(message, inner);
