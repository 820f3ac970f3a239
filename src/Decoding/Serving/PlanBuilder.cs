using ProxyTune.Decoding.Fusion;
using ProxyTune.Decoding.Models;

namespace ProxyTune.Decoding.Serving;

/// <summary>From settled settings to streams and deltas: the table of methods in docs/decoding.md, in code.</summary>
internal sealed class PlanBuilder(ServedModel model, SettledFusion settled)
{
    private const string Size = "size";
    private const string Context = "context";
    private const string Amateur = "amateur";

    private readonly List<ServedStream> streams = [];
    private readonly List<FusionDelta> deltas = [];

    private AskedFusion Values => settled.Values;

    public ServedPlan Build()
    {
        streams.Add(model.BaseStream);
        switch (settled.Method.Members)
        {
            case MethodMembers.Pairs or MethodMembers.Rewards:
                Experts();
                break;
            case MethodMembers.Amateur:
                streams.Add(model.Amateur!);
                Add(Amateur, plus: null, minus: 1, 1);
                break;
            case MethodMembers.BaseWithoutContext:
                streams.Add(model.BaseStream with { Role = StreamRole.BaseWithoutContext, Name = "base without context" });
                Add(Context, plus: 0, minus: 1, 1);
                break;
        }

        bool hasExpert = deltas.Any(delta => delta.Name != Size && delta.Weight != 0);
        FusionPlan plan = new([.. streams.Select((stream, i) => new FusionStream(stream.Model, stream.Role, i == 0 ? 1 : 0, stream.Name))], model.VocabularySize)
        {
            Deltas = deltas,
            Schedule = settled.Schedule.ToSchedule(),
            Rule = settled.Method.Rule?.Invoke(model, settled),
            Mask = settled.Mask.ToCandidateMask(),
            DeltaMask = hasExpert ? settled.Mask.ToDeltaMask() : null,
            Trace = settled.Trace,
        };
        return new ServedPlan(model, settled, plan, streams);
    }

    private void Experts()
    {
        // An expert without a weight is not run, unless the amplification needs its anti-expert.
        bool isOff = Values.Alpha == 0 && (Values.Amplification ?? 1) == 1;
        ServedExpert[] taking = [.. model.Experts.Where(expert => !isOff && Values.Experts![expert.Name] != 0)];
        foreach (ServedExpert expert in taking)
        {
            int plus = streams.Count;
            streams.Add(expert.Tuned);
            if (expert.Anti is { } anti)
            {
                streams.Add(anti);
            }

            Add(expert.Name, plus, expert.Anti is null ? null : plus + 1, Values.Experts![expert.Name]);
        }

        if (settled.Mask.ToDeltaMask() is not null && taking.Length > 1)
        {
            throw SettingsProblem.InRequest.At("mask.kind", settled.Mask.Kind, $"another mask: this one looks at one expert's nucleus, and {taking.Length} experts have a weight");
        }

        if (Values.Amplification is { } amplification and not 1 && taking.Length > 0)
        {
            if (taking.Select(expert => expert.Anti!.Model).Distinct().Count() > 1)
            {
                throw SettingsProblem.InRequest.At("amplification", amplification, "1 where experts have different anti-experts: it amplifies the base's difference from one");
            }

            // It does not depend on how strong the experts are, so alpha does not scale it.
            deltas.Add(new(Size, 0, 2, (float)(amplification - 1)));
        }
    }

    private void Add(string name, int? plus, int? minus, double weight) => deltas.Add(new(name, plus, minus, (float)((Values.Alpha ?? 1) * weight)));
}
