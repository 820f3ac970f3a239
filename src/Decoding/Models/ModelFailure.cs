using ProxyTune.Checkpoints;

namespace ProxyTune.Decoding.Models;

/// <summary>Names the model that threw.</summary>
internal static class ModelFailure
{
    public static EngineException Of(ILanguageModel model, Exception cause) =>
        cause as EngineException ?? new(EngineError.ModelFailure, $"Model '{model.Info.Name}' failed: {cause.Message}", inner: cause);
}
