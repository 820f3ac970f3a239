using ProxyTune.Decoding.Fusion;
using ProxyTune.Decoding.Models;
using ProxyTune.Decoding.Text;

namespace ProxyTune.Decoding.Catalog;

/// <summary>Makes a served model of a catalog entry: loads its members and checks that they fit each other.</summary>
internal sealed class ServedModelBuilder(string modelsFolder, CatalogCheck check, MemberPool members)
{
    private const string Chat = "chat";
    private const string Plain = "plain";

    public ServedModel Build(ServedModelEntry entry)
    {
        string label = CatalogCheck.Label(entry.Name!);
        CatalogMember baseMember = members.Get(entry.Base!, label);
        ServedExpert[] experts = [.. (entry.Experts ?? []).Select(expert => Expert(expert, baseMember, label))];
        Dictionary<(ILanguageModel, StreamRole), PromptReader> readers = [];
        Add(baseMember, StreamRole.Base, entry.Templates?.Base);
        foreach (ServedExpert expert in experts)
        {
            Add(expert.Tuned, StreamRole.Expert, entry.Templates?.Expert);
            Add(expert.Anti, StreamRole.AntiExpert, entry.Templates?.AntiExpert);
        }

        return new ServedModel(entry, baseMember, check.Weight(label, "alpha", entry.Alpha, entry.AlphaRange), experts, readers);

        void Add(CatalogMember member, StreamRole role, string? template) =>
            readers[(member.Model, role)] = new PromptReader(member.Tokenizer, Template(member, template, label));
    }

    private ServedExpert Expert(ExpertEntry entry, CatalogMember baseMember, string label)
    {
        string expertLabel = $"{label}, expert '{entry.Name}'";
        return new ServedExpert(
            entry.Name!,
            check.Weight(expertLabel, "weight", entry.Weight, entry.WeightRange),
            Fitting(entry.Model!, baseMember, expertLabel),
            Fitting(entry.AntiExpert!, baseMember, expertLabel));
    }

    /// <summary>Sizes do not tell: vocabularies are padded, and different ones may be equally large.</summary>
    private CatalogMember Fitting(string name, CatalogMember baseMember, string label)
    {
        CatalogMember member = members.Get(name, label);
        return baseMember.Tokenizer.SameVocabulary(member.Tokenizer)
            ? member
            : throw check.Wrong(label, $"model folder '{name}' has another tokenizer than the base '{Path.GetFileName(baseMember.Folder)}'; the token ids must mean the same.");
    }

    private ChatTemplate? Template(CatalogMember member, string? name, string label)
    {
        try
        {
            return name switch
            {
                Plain => null,
                Chat => ChatTemplate.Load(member.Folder),

                // A base that was never tuned to chat has no template and reads plain text.
                null => ChatTemplate.TryLoad(member.Folder),
                _ => ChatTemplate.Parse(ReadFile(name, label), member.Folder),
            };
        }
        catch (EngineException error) when (error.Error == EngineError.InvalidModelFolder)
        {
            throw new EngineException(error.Error, $"{label}: template '{name ?? Chat}': {error.Message}", label, error);
        }
    }

    private string ReadFile(string name, string label)
    {
        string path = Path.Combine(modelsFolder, name);
        return name.EndsWith(".jinja", StringComparison.Ordinal) && Path.GetFileName(name) == name && File.Exists(path)
            ? File.ReadAllText(path)
            : throw check.Wrong(label, $"the template '{name}' is not '{Chat}', '{Plain}' or a .jinja file in {modelsFolder}.");
    }
}
