using ProxyTune.Decoding.Fusion;

namespace ProxyTune.Decoding.Serving;

/// <summary>The fusion of a served model where a request says nothing, and what a request may say.</summary>
/// <param name="Method">The served model's own.</param>
/// <param name="Methods">What any request may choose from; the own one included. Others are for operators.</param>
/// <param name="Alpha">The strength; scales all deltas together.</param>
/// <param name="Amplification">EFT's g.</param>
/// <param name="Mask">Null takes the method's own.</param>
/// <param name="Mode">Of dynamic fusion.</param>
/// <param name="Search">Of dynamic fusion.</param>
/// <param name="Floor">Of dynamic fusion: its least weight.</param>
public sealed record FusionDefaults(
    FusionMethod Method, IReadOnlyList<FusionMethod> Methods, BoundedWeight Alpha, BoundedWeight Amplification, MaskSettings? Mask, ScheduleSettings Schedule, string Mode, string Search, BoundedWeight Floor)
{
    public const string SingleMode = "single";
    public const string JointMode = "joint";
    public const string ClosedFormSearch = "closed_form";
    public const string GridSearch = "grid";

    /// <summary>Dynamic fusion seeks its weights from 0 to the end of alpha's range.</summary>
    internal bool HasRoomForDynamic => Alpha.Maximum is > 0 and <= DynamicOptions.MaxMaximum;

    /// <summary>Of <see cref="Amplification"/>: 1 is plain up-scaling.</summary>
    internal const double UsualAmplification = 1;
    internal const double UsualMaxAmplification = 2;
}
