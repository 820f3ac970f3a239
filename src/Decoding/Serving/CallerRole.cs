namespace ProxyTune.Decoding.Serving;

/// <summary>What a caller may see and ask for.</summary>
public enum CallerRole
{
    /// <summary>The models that are offered to all callers, their own methods, and weights from 0.</summary>
    Client,

    /// <summary>All models, all methods that a model has members for, and negative weights inside a model's ranges.</summary>
    Operator,
}
