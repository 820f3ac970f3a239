namespace ProxyTune.Checkpoints.Formats;

/// <summary>How a tensor's elements are written; the numbers are the format's.</summary>
internal enum GgufType
{
    F32 = 0,

    /// <summary>Blocks of 32: a scale of 16 bits, and 4 bits for each element.</summary>
    Q4 = 2,

    /// <summary>Blocks of 32: a scale of 16 bits, and 8 bits for each element.</summary>
    Q8 = 8,
}
